"""What a training run records: before its first epoch what it is made from, at its end what came out."""

import contextlib
import copy
import functools
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import psutil
from omegaconf import OmegaConf

from runback.classifier.build import Prepared, load_data, threads_for
from runback.classifier.train_config import TrainingConfig, TrainingSpec
from runback.keras.tensorflow_build import tensorflow_build
from runback.provenance.code.snapshot import Snapshot, take_snapshot, tree_state
from runback.provenance.code.working_tree import toplevel
from runback.provenance.config_hash import text_hash
from runback.provenance.machine import environment, hardware
from runback.runs.artifacts import CONFIG, LOCK, OVERRIDES, PATCH, RECORD, UNTRACKED
from runback.runs.epoch_results import epoch_results
from runback.sweeping.trials.trial import STORE_PATIENCE
from runback.system import signing_key
from runback.system.config import targets
from runback.system.config.written_config import WrittenConfig, resolved, written, written_overrides
from runback.system.secrecy import redacted
from runback.system.secrecy.secret_files import secret_content
from runback.system.text.escape import for_markdown
from runback.system.text.quiet_stderr import silenced
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.tags import SIGNATURE_TAG

if TYPE_CHECKING:
    from runback.classifier.data.data_summary import DataSummary
    from runback.classifier.data.dataset import Dataset
    from runback.classifier.training.predictions import ValidationPredictions
    from runback.sweeping.trials.trial import Trial
    from runback.tracking.write.run import Run

PREVIEWED = 8
"""Training images on the preview sheet of an augmentation."""

RECORD_FORMAT = "runback-record-1"
RESULT_FORMAT = "runback-result-1"

CLOCK = 2.0
"""Seconds by which a process's time of start may be off."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Code:
    """The code that this process trains with."""

    snapshot: Snapshot
    project: str = "."
    """The project's folder within its repository."""
    edited: tuple[str, ...] = ()
    """Files that were changed after this process had imported them: the snapshot has what it did not run."""

    def as_dict(self) -> dict[str, Any]:
        """Return what the record says about it."""
        return {**self.snapshot.as_dict(), "project": self.project, "edited": list(self.edited)}

    def warn(self) -> None:
        """Say what the record leaves out, and where it may be wrong."""
        if self.snapshot.warning:
            _logger.warning(self.snapshot.warning)
        if self.edited:
            _logger.warning(
                "edited after they were imported, recorded as they are now: %s", ", ".join(self.edited)
            )


def code_here() -> Code:
    """Return the code as it is now, on the disk: fast where nothing has changed since the last look."""
    root = project_root()
    known = _looks.get(root)
    if known is None or known.state != tree_state(root, known.top or root):
        top = toplevel(root)
        known = _looks[root] = _Look(tree_state(root, top or root), top, take_snapshot(root))
    snapshot, top = known.snapshot, known.top
    if top is None or not root.is_relative_to(top):
        return Code(snapshot)
    return Code(snapshot, root.relative_to(top).as_posix(), tuple(_edited(top)))


@dataclass(frozen=True)
class _Look:
    """What the code was like when this process last looked."""

    state: tuple[object, ...]
    top: Path | None
    snapshot: Snapshot


_looks: dict[Path, _Look] = {}


def _edited(top: Path) -> list[str]:
    process = psutil.Process()
    parent = process.parent()
    if parent is not None and "multiprocessing.forkserver" in " ".join(parent.cmdline()):
        process = parent  # it imported what this one needs, before it forked
    began = process.create_time()
    # As texts: there are thousands, and a Path for each takes a quarter of a second.
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    found = []
    for file in (file for file in files if file.startswith(f"{top}/")):
        with contextlib.suppress(OSError):
            if Path(file).stat().st_mtime > began + CLOCK:
                found.append(Path(file).relative_to(top).as_posix())
    return sorted(found)


@functools.cache
def machine() -> dict[str, Any]:
    """Return what this process trains with besides its code; it stays what it is."""
    return {
        "packages": environment.packages(),
        "python": environment.python(),
        "system": environment.system(),
        "hardware": hardware.hardware(),
        "environment": environment.recorded_variables(),
    }


def record(
    plan: TrainingSpec, threads: int, train: "Dataset", validation: "Dataset", code: Code
) -> dict[str, Any]:
    """Return what has to be known to train this run again and to explain another result."""
    with silenced():
        tensorflow = tensorflow_build()
    config = written(plan.config)
    return {
        "format": RECORD_FORMAT,
        "code": code.as_dict(),
        **machine(),
        "tensorflow": tensorflow,
        "threads": {"training": threads},
        "seeds": {"seed": plan.config.seed, "validation_seed": plan.config.data.get("validation_seed")},
        "data": {"train": data_facts(train), "validation": data_facts(validation)},
        "data_summary": _summary(plan, train, validation).as_dict(),
        "choices": dict(plan.choices),
        "config_sha256": text_hash(OmegaConf.to_yaml(OmegaConf.create(_experiment(config)))),
        "variables": config.environment,
        "secrets": config.left_out,
    }


def record_now(plan: TrainingSpec, root: Path) -> dict[str, Any]:
    """Return the record that a training of `plan` here and now would have. Errors: InputError, DataError."""
    config = resolved(plan.config)
    options: TrainingConfig = OmegaConf.to_object(plan.config.training)  # type: ignore[assignment]
    train, validation = load_data(config["data"], targets.declared_modules(root))
    return record(plan, threads_for(options), train, validation, code_here())


def say_data(plan: TrainingSpec, prepared: Prepared, stream: TextIO | None) -> None:
    """Print what is trained on, what of it is left out, and what is not as it was in its files."""
    say(*_summary(plan, prepared.train, prepared.validation).lines(), stream=stream)


def _summary(plan: TrainingSpec, train: "Dataset", validation: "Dataset") -> "DataSummary":
    from runback.classifier.data.data_summary import DataSummary

    return DataSummary.of(train, validation, str(plan.choices["data"]))


def data_facts(dataset: "Dataset") -> dict[str, Any]:
    """Return the fingerprint of a split's full content, and what a person can compare."""
    from runback.classifier.data.dataset_hash import content_hash

    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    return {
        "sha256": content_hash(dataset),
        "shape": list(dataset.images.shape),
        "dtype": str(dataset.images.dtype),
        "class_counts": dict(zip(dataset.class_names, counts.tolist(), strict=True)),
    }


def start(
    plan: TrainingSpec,
    prepared: Prepared,
    facts: Mapping[str, Any],
    trial: "Trial | None",
    extra_tags: Mapping[str, str],
) -> "Run":
    """Start the MLflow run, a child of the sweep's run inside a sweep.

    There it waits for a store that is away. Errors: StoreError.
    """
    from runback.tracking.store import open_store
    from runback.tracking.write.run import start_run

    layout = Layout(project_root())
    store = open_store(layout, is_prepared=trial is not None and trial.parent is not None)
    run = start_run(
        store,
        experiment=plan.config.tracking.experiment,
        name=plan.name,
        folder=plan.folder,
        params=_params(plan, prepared),
        tags={**_tags(facts, layout, plan.folder, trial), **extra_tags},
        description=_description(plan, prepared),
        parent=None if trial is None else trial.parent,
        patience=0.0 if trial is None else STORE_PATIENCE,
    )
    if trial is not None:
        trial.attribute("run_id", run.id)
    return run


def before_training(
    run: "Run", plan: TrainingSpec, prepared: Prepared, facts: Mapping[str, Any], code: Code
) -> None:
    """Log what the run is made from, signed: config, record, code; and what augmentation does to images."""
    config = written(plan.config)
    files = _made_from(plan, config, prepared.threads, facts, code)
    for name, content in files.items():
        run.log_bytes(content, name)
    signed = signing_key.signature(files)
    if signed is not None:
        run.set_tags({SIGNATURE_TAG: signed})
    code.warn()
    if config.left_out:
        _logger.warning(
            "secrets are left out of the record, which cannot be trained again: %s; write ${oc.env:NAME} "
            "for them and set the variable NAME",
            ", ".join(config.left_out),
        )
    if prepared.augmentation is not None:
        from runback.classifier.augmentation.preview import preview_sheet

        run.log_image(
            preview_sheet(prepared.augmentation, prepared.train.images[:PREVIEWED]), "augmentation.png"
        )


def _made_from(
    plan: TrainingSpec, config: WrittenConfig, threads: int, facts: Mapping[str, Any], code: Code
) -> dict[str, bytes]:
    """Return the files that a run is trained again from, the record last: it says that all are there."""
    lock = _lock(project_root() / "uv.lock")
    overrides = redacted(OmegaConf.to_yaml(written_overrides(plan.overrides)))
    files = {
        CONFIG: config_yaml(config, threads).encode(),
        OVERRIDES: overrides.encode(),
        PATCH: code.snapshot.patch,
        UNTRACKED: code.snapshot.untracked_zip() if code.snapshot.untracked else b"",
        LOCK: lock,
        RECORD: json.dumps(facts, indent=1).encode(),
    }
    return {name: content for name, content in files.items() if content}


def _lock(lock: Path) -> bytes:
    """Return the lock file, nothing where there is none or an index in it is one with a password."""
    if not lock.is_file():
        return b""
    content = lock.read_bytes()
    told = secret_content(content, lock.name)
    if told is None:
        return content
    _logger.warning("the record leaves out %s (%s)", lock.name, told)
    return b""


def after_training(run: "Run", prepared: Prepared, history: Sequence[Mapping[str, float]]) -> None:
    """Log what came out: curves and the trained network."""
    from runback.classifier.training.curves_figure import plot_curves
    from runback.tracking.write.network_artifacts import log_network

    run.log_figure(plot_curves([dict(metrics) for metrics in history]), "curves.png")
    log_network(run, prepared.network, prepared.train.class_names)


def result(
    run: "Run",
    prepared: Prepared,
    history: Sequence[Mapping[str, float]],
    predictions: "ValidationPredictions",
    *,
    finished: bool,
) -> dict[str, Any]:
    """Log, and return, what a training that is done again must give again."""
    from runback.provenance.fingerprint import array_hash, tensor_hashes

    variables = enumerate(prepared.network.weights)
    weights = {f"{number:03d} {variable.path}": variable.numpy() for number, variable in variables}
    facts = {
        "format": RESULT_FORMAT,
        "epochs": epoch_results(history),
        "weights": tensor_hashes(weights),
        "predictions": array_hash(predictions.current()),
        "finished": finished,
    }
    run.log_bytes(json.dumps(facts, indent=1).encode(), "record/result.json")
    return facts


def config_yaml(written: WrittenConfig, threads: int) -> str:
    """Return the config that trains this run again, with the number of threads it had."""
    config = copy.deepcopy(written.tree)
    config["training"]["threads"] = threads
    return OmegaConf.to_yaml(OmegaConf.create(config))


def _experiment(written: WrittenConfig) -> dict[str, Any]:
    """Return the config without what leaves the experiment the same: threads and checkpoints."""
    config = copy.deepcopy(written.tree)
    del config["training"]["threads"], config["training"]["checkpoint"]
    return config


def _params(plan: TrainingSpec, prepared: Prepared) -> dict[str, object]:
    """Return what a person wants as columns: choices by name, scalars by dotted key."""
    config = _experiment(written(plan.config))
    config.pop("tracking")
    config["training"]["threads"] = prepared.threads
    params: dict[str, object] = {f"{group}.name": name for group, name in plan.choices.items()}
    params |= dict(_scalars(config))
    params["data.n_train"] = len(prepared.train)
    params["data.n_validation"] = len(prepared.validation)
    params["model.parameters"] = prepared.network.count_params()
    return params


def _scalars(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found += _scalars(value, f"{prefix}{key}.")
        elif key not in ("_target_", "layers"):
            found.append((f"{prefix}{key}", value))
    return found


def _tags(facts: Mapping[str, Any], layout: Layout, folder: Path, trial: "Trial | None") -> dict[str, str]:
    code = facts["code"]
    tags = {
        "runback.kind": "train",
        "runback.config_hash": facts["config_sha256"],
        "runback.data_hash.train": facts["data"]["train"]["sha256"],
        "runback.data_hash.validation": facts["data"]["validation"]["sha256"],
        "runback.dirty": str(code["dirty"]).lower(),
        **layout.folder_tags(folder),
    }
    if code["commit"]:
        tags["mlflow.source.git.commit"] = tags["runback.commit"] = code["commit"]
    if trial is not None:
        tags |= {"runback.sweep": trial.sweep, **trial.label.tags}
        tags["runback.device"] = "CPU" if trial.device is None else f"GPU {trial.device}"
    return tags


def _description(plan: TrainingSpec, prepared: Prepared) -> str:
    options = prepared.options
    choices = {group: for_markdown(name) for group, name in plan.choices.items()}
    augmented = "" if prepared.augmentation is None else f", augmented by **{choices['augmentation']}**"
    return (
        f"**{choices['model']}** ({prepared.network.count_params():,} parameters) trained with "
        f"**{choices['optimizer']}** on **{choices['data']}**{augmented}: {len(prepared.train):,} training "
        f"and {len(prepared.validation):,} validation images, up to {options.epochs} epochs, "
        f"batches of {options.batch_size}, {options.precision}.\n\n"
        f"{_summary(plan, prepared.train, prepared.validation).markdown()}"
    )
