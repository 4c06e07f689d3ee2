"""What it took to make a run, and the sweep that it is of: time and energy, as they were recorded."""

from typing import Any

from runback.classifier.evaluation.section import Section, SectionTable
from runback.tracking.read.find_runs import find_run, history, parent_of
from runback.tracking.read.rows import SYSTEM
from runback.tracking.store import Store
from runback.tracking.write.system_metrics import ENERGY

METHOD = (
    "Energy is what counters in the hardware say of the whole machine while the training ran: RAPL's of "
    "processor packages, NVML's of GPUs. Trainings side by side have each other's in it. What no counter "
    "sees is not in it: memory, disks, fans, power supply, cooling, and the making of the machine."
)

NAMES = {
    "training_seconds": "training, in seconds",
    "cpu_energy_joules": "energy of processors, in joules",
    "gpu_energy_joules": "energy of GPUs, in joules",
    "pruning_saved_seconds": "training that pruning saved, in seconds",
}


def cost_section(store: Store, run: Any) -> Section:
    """Return the time and the energy of a run, and of its whole sweep so far. Errors: StoreError."""
    own = _own(store, run.info.run_id)
    parent = parent_of(run)
    sweep = {} if parent is None else _recorded(find_run(store, parent).data.metrics)
    facts = {**own, **{f"sweep_{name}": value for name, value in sweep.items()}}
    rows = [
        (text, _shown(own.get(name)), _shown(sweep.get(name)))
        for name, text in NAMES.items()
        if name in own or name in sweep
    ]
    missing = [kind for kind in ("cpu", "gpu") if f"{kind}_{ENERGY}" not in own]
    notes = [METHOD]
    if missing:
        counters = {"cpu": "processors", "gpu": "GPUs"}
        notes.append(
            f"No energy was measured of {' and '.join(counters[kind] for kind in missing)}: while the run "
            "trained, the machine showed no counters of them to this user."
        )
    head = ("", "this training", "its whole sweep so far") if parent is not None else ("", "this training")
    table = SectionTable("Time and energy", head, [row[: len(head)] for row in rows])
    return Section("cost", "Cost", "What did it take to make?", {}, facts, notes, (table,) if rows else ())


def _own(store: Store, run_id: str) -> dict[str, float]:
    """Return the sums of what each epoch, and each sample of the machine, has taken."""
    series = {"training_seconds": "epoch_seconds"}
    series |= {f"{kind}_{ENERGY}": f"{SYSTEM}{kind}_{ENERGY}" for kind in ("cpu", "gpu")}
    found = {name: history(store, run_id, metric) for name, metric in series.items()}
    return {name: sum(values) for name, values in found.items() if values}


def _recorded(metrics: Any) -> dict[str, float]:
    return {name: metrics[name] for name in NAMES if name in metrics}


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
