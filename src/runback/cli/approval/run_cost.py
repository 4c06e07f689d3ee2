"""Time and energy that a run, and the sweep that it is of, have taken, as they were recorded."""

from collections.abc import Mapping
from typing import Any

from runback.classifier.evaluation.section import Section, SectionTable
from runback.errors import InputError
from runback.tracking.read.find_runs import find_run, history, parent_of
from runback.tracking.read.rows import SYSTEM
from runback.tracking.store import Store
from runback.tracking.write.system_metrics import ENERGY

METHOD = (
    "Energy is what counters in the hardware say of the whole machine while the training ran: RAPL's of "
    "processor packages, NVML's of GPUs. Trainings side by side have each other's in it. What no counter "
    "sees is not in it: memory, disks, fans, power supply, cooling, and the making of the machine."
)

KINDS = {"cpu": "processors", "gpu": "GPUs"}

NAMES = {
    "training_seconds": "training, in seconds",
    **{f"{kind}_{ENERGY}": f"energy of {name}, in joules" for kind, name in KINDS.items()},
    "pruning_saved_seconds": "training that pruning saved, in seconds",
}


def cost_section(store: Store, run: Any) -> Section:
    """Return the time and the energy of a run, and of its whole sweep so far. Errors: StoreError."""
    own, parent = _own(store, run.info.run_id), parent_of(run)
    sweep, notes = {} if parent is None else _of_sweep(store, parent), [METHOD]
    missing = [name for kind, name in KINDS.items() if f"{kind}_{ENERGY}" not in own]
    if missing:
        notes.append(
            f"No energy of {' and '.join(missing)} was recorded: while the run trained, the machine showed "
            "no counters of them to this user."
        )
    if sweep is None:
        notes.append("What its sweep has taken is not known: the sweep's run is gone.")
    head = ("", "this training") if not sweep else ("", "this training", "its whole sweep so far")
    rows = [
        (text, _shown(own.get(name)), _shown((sweep or {}).get(name)))
        for name, text in NAMES.items()
        if name in own or name in (sweep or {})
    ]
    tables = [SectionTable("Time and energy", head, [row[: len(head)] for row in rows])] if rows else []
    facts = {**own, **{f"sweep_{name}": value for name, value in (sweep or {}).items()}}
    return Section("cost", "Cost", "What did it take to make?", {}, facts, notes, tables)


def _own(store: Store, run_id: str) -> dict[str, float]:
    """Return the sums of what each epoch, and each sample of the machine, has taken."""
    series = {"training_seconds": "epoch_seconds"}
    series |= {f"{kind}_{ENERGY}": f"{SYSTEM}{kind}_{ENERGY}" for kind in KINDS}
    found = {name: history(store, run_id, metric) for name, metric in series.items()}
    return {name: sum(values) for name, values in found.items() if values}


def _of_sweep(store: Store, parent: str) -> Mapping[str, float] | None:
    """Return what a sweep's run has recorded; None where somebody has deleted it."""
    try:
        metrics = find_run(store, parent).data.metrics
    except InputError:
        return None
    return {name: metrics[name] for name in NAMES if name in metrics}


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
