"""The record of a training: everything that it is made from, as data, files, params and tags."""

import contextlib
import functools
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from omegaconf import OmegaConf

from runback.classifier.build import Prepared, load_data, seed_process
from runback.classifier.train_config import TrainingSpec
from runback.classifier.training.class_weights import class_weights, weights_note
from runback.keras.tensorflow_build import tensorflow_build
from runback.provenance.code.snapshot import Snapshot, take_snapshot, tree_state
from runback.provenance.code.working_tree import toplevel
from runback.provenance.config_hash import text_hash
from runback.provenance.machine import environment, hardware
from runback.runs.schema import (
    CONFIG,
    LOCK,
    OVERRIDES,
    PATCH,
    RECORD,
    RECORD_FORMAT,
    UNTRACKED,
    CodeRecord,
    MachineRecord,
    RunRecord,
    SplitRecord,
    write_record,
)
from runback.system.config import targets
from runback.system.config.flattening import flatten
from runback.system.config.written_config import written_overrides
from runback.system.files.process_owner import CLOCK
from runback.system.secrecy import redacted
from runback.system.secrecy.secret_files import secret_content
from runback.system.text.escape import for_markdown
from runback.system.text.quiet_stderr import silenced
from runback.tracking.tags import (
    COMMIT_TAG,
    CONFIG_HASH_TAG,
    DEVICE_TAG,
    DIRTY_TAG,
    KIND_TAG,
    SWEEP_TAG,
    TRAIN_HASH_TAG,
    VALIDATION_HASH_TAG,
)

if TYPE_CHECKING:
    from runback.classifier.data.dataset import Dataset
    from runback.classifier.data.reading.data_summary import DataSummary
    from runback.sweeping.trials.trial import Trial

BACKBONE = "runback.classifier.models.backbone.backbone"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordedCode:
    """The code that this process trains with."""

    snapshot: Snapshot
    project: str = "."
    """The project's folder within its repository."""
    edited: tuple[str, ...] = ()
    """Files that were changed after this process had imported them: the snapshot has what it did not run."""

    def as_dict(self) -> CodeRecord:
        """Return its record."""
        return {**self.snapshot.as_dict(), "project": self.project, "edited": list(self.edited)}

    @property
    def notices(self) -> list[str]:
        """Lines that say, before training, that no code is recorded; none where some is."""
        if self.snapshot.missing is None:
            return []
        return [f"  code: not recorded, and cannot be compared later: {self.snapshot.missing}"]

    def warn(self) -> None:
        """Say what the record leaves out, and where it may be wrong."""
        if self.snapshot.warning and self.snapshot.missing is None:  # else it has been said
            _logger.warning(self.snapshot.warning)
        if self.edited:
            _logger.warning(
                "edited after they were imported, recorded as they are now: %s", ", ".join(self.edited)
            )


def code_here(root: Path) -> RecordedCode:
    """Return the project's code as it is on the disk: fast where nothing has changed since the last time."""
    last = _states.get(root)
    if last is None or last.state != tree_state(root, last.top or root):
        top = toplevel(root)
        last = _states[root] = _TreeState(tree_state(root, top or root), top, take_snapshot(root))
    snapshot, top = last.snapshot, last.top
    if top is None or not root.is_relative_to(top):
        return RecordedCode(snapshot)
    return RecordedCode(snapshot, root.relative_to(top).as_posix(), tuple(_edited(top)))


@dataclass(frozen=True)
class _TreeState:
    """The working tree and its code when this process last looked."""

    state: tuple[object, ...]
    top: Path | None
    snapshot: Snapshot


_states: dict[Path, _TreeState] = {}


def _edited(top: Path) -> list[str]:
    process = psutil.Process()
    parent = process.parent()
    if parent is not None and "multiprocessing.forkserver" in " ".join(parent.cmdline()):
        process = parent  # it imported what this one needs, before it forked
    began = process.create_time()
    # As texts: there are thousands, and a Path for each takes a quarter of a second.
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    edited = []
    for file in (file for file in files if file.startswith(f"{top}/")):
        with contextlib.suppress(OSError):
            if Path(file).stat().st_mtime > began + CLOCK:
                edited.append(Path(file).relative_to(top).as_posix())
    return sorted(edited)


@functools.cache
def machine() -> MachineRecord:
    """Return everything that this process trains with, besides its code and TensorFlow; it never changes."""
    return {
        "packages": environment.packages(),
        "python": environment.python(),
        "system": environment.system(),
        "hardware": hardware.hardware(),
        "environment": environment.recorded_variables(),
    }


def run_record(
    spec: TrainingSpec,
    train: "Dataset",
    validation: "Dataset",
    code: RecordedCode,
    notes: Sequence[str] = (),
) -> RunRecord:
    """Return the record of a training: enough to train it again, and to explain another result.

    `notes` are what is said of its network.
    """
    with silenced():
        tensorflow = tensorflow_build()
    return {
        "format": RECORD_FORMAT,
        "code": code.as_dict(),
        **machine(),
        "tensorflow": tensorflow,
        "threads": {"training": spec.threads},
        "seeds": {"seed": spec.seed, "validation_seed": spec.config["data"].get("validation_seed")},
        "data": {"train": data_facts(train), "validation": data_facts(validation)},
        "data_summary": data_summary(spec, train, validation, notes).as_dict(),
        "weights": _recorded_file(spec, train),
        "class_weights": _recorded_weights(spec, train),
        "choices": dict(spec.choices),
        "config_sha256": text_hash(_yaml(_experiment(spec))),
        "variables": spec.written.environment,
        "secrets": spec.written.left_out,
    }


def _recorded_weights(spec: TrainingSpec, train: "Dataset") -> dict[str, float] | None:
    weights = class_weights(spec.options.class_weight, train)
    return None if weights is None else dict(zip(train.class_names, weights, strict=True))


def _recorded_file(spec: TrainingSpec, train: "Dataset") -> dict[str, str] | None:
    """Return the file of weights that a network begins with, by name and content; None: they are all new."""
    if spec.config["model"][targets.TARGET] != BACKBONE:
        return None
    from runback.classifier.models.backbone import weights_of
    from runback.classifier.models.weights_file import sha256

    file = weights_of(spec.config["model"], train.images.shape[1:])
    return None if file is None else {"file": file.name, "sha256": sha256(file)}


def record_now(spec: TrainingSpec) -> RunRecord:
    """Return the record that a training would have here and now. Errors: InputError, DataError."""
    root = spec.layout.root
    declared = targets.declared_modules(root)
    train, validation = load_data(spec.config["data"], declared, spec.layout.data)
    if spec.config["model"][targets.TARGET] == BACKBONE:
        seed_process(spec)  # the name of a published file comes from building its network
    return run_record(spec, train, validation, code_here(root))


def data_summary(
    spec: TrainingSpec, train: "Dataset", validation: "Dataset", notes: Sequence[str] = ()
) -> "DataSummary":
    """Return the summary of what a training is done on, and what of its source is not used as it is.

    `notes` are what is to be said besides.
    """
    from runback.classifier.data.reading.data_summary import DataSummary

    source = spec.choices.get("data") or spec.config["data"]["_target_"].split(".")[-2]
    summary = DataSummary.of(train, validation, source)
    return replace(summary, notes=[*summary.notes, *_loss_notes(spec, train), *notes])


def _loss_notes(spec: TrainingSpec, train: "Dataset") -> list[str]:
    options, notes = spec.options, []
    weights = class_weights(options.class_weight, train)
    if weights is not None:
        notes.append(weights_note(options.class_weight, weights, train.class_names))
    if options.label_smoothing:
        notes.append(
            f"training.label_smoothing={options.label_smoothing:g} is in the training loss only; val_loss is "
            "the crossentropy of the labels as they are"
        )
    return notes


def data_facts(dataset: "Dataset") -> SplitRecord:
    """Return the record of a split: its content's hash, and properties that a person can compare."""
    from runback.classifier.data.dataset_hash import content_hash

    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    return {
        "sha256": content_hash(dataset),
        "shape": list(dataset.images.shape),
        "dtype": str(dataset.images.dtype),
        "class_counts": dict(zip(dataset.class_names, counts.tolist(), strict=True)),
    }


def run_files(spec: TrainingSpec, record: RunRecord, code: RecordedCode) -> dict[str, bytes]:
    """Return the files that a run is trained again from, the record last: it says that all are there."""
    overrides = redacted(OmegaConf.to_yaml(written_overrides(spec.overrides)))
    files = {
        CONFIG: _yaml(spec.written.tree).encode(),
        OVERRIDES: overrides.encode(),
        PATCH: code.snapshot.patch,
        UNTRACKED: code.snapshot.untracked_zip() if code.snapshot.untracked else b"",
        LOCK: _lock(spec.layout.root / "uv.lock"),
        RECORD: write_record(record),
    }
    return {name: content for name, content in files.items() if content}


def _lock(lock: Path) -> bytes:
    """Return the lock file, nothing where there is none or an index in it is one with a password."""
    if not lock.is_file():
        return b""
    content = lock.read_bytes()
    reason = secret_content(content, lock.name)
    if reason is None:
        return content
    _logger.warning("the record leaves out %s (%s)", lock.name, reason)
    return b""


def _yaml(config: Mapping[str, Any]) -> str:
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))


def _experiment(spec: TrainingSpec) -> dict[str, Any]:
    """Return the config without the keys that leave the experiment the same: threads and checkpoints."""
    return {**spec.written.tree, "training": _without(spec.written.tree["training"], "threads", "checkpoint")}


def _without(config: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


def run_params(spec: TrainingSpec, prepared: Prepared) -> dict[str, object]:
    """Return a run's params: choices by group, scalars of the config by dotted key, and sizes."""
    config = _without(spec.written.tree, "tracking")
    config["training"] = _without(config["training"], "checkpoint")
    params: dict[str, object] = {f"{group}.name": name for group, name in spec.choices.items()}
    scalars = flatten(config, skip=("_target_", "layers"))
    params |= {key: value for key, value in scalars if not isinstance(value, Mapping)}
    params["data.n_train"] = len(prepared.train)
    params["data.n_validation"] = len(prepared.validation)
    params["model.parameters"] = prepared.network.count_params()
    return params


def run_tags(spec: TrainingSpec, record: RunRecord, trial: "Trial | None") -> dict[str, str]:
    """Return a run's tags."""
    code = record["code"]
    tags = {
        KIND_TAG: "train",
        CONFIG_HASH_TAG: record["config_sha256"],
        TRAIN_HASH_TAG: record["data"]["train"]["sha256"],
        VALIDATION_HASH_TAG: record["data"]["validation"]["sha256"],
        DIRTY_TAG: str(code["dirty"]).lower(),
        **spec.layout.folder_tags(spec.folder),
    }
    if code["commit"]:
        tags["mlflow.source.git.commit"] = tags[COMMIT_TAG] = code["commit"]
    if trial is not None:
        tags |= {SWEEP_TAG: trial.sweep, **trial.label.tags}
        tags[DEVICE_TAG] = "CPU" if trial.device is None else f"GPU {trial.device}"
    return tags


def run_description(spec: TrainingSpec, prepared: Prepared) -> str:
    """Return a run's description, in Markdown."""
    options = spec.options
    choices = {group: for_markdown(name) for group, name in spec.choices.items()}
    augmented = "" if prepared.augmentation is None else f", augmented by **{choices['augmentation']}**"
    return (
        f"**{choices['model']}** ({prepared.network.count_params():,} parameters) trained with "
        f"**{choices['optimizer']}** on **{choices['data']}**{augmented}: {len(prepared.train):,} training "
        f"and {len(prepared.validation):,} validation images, up to {options.epochs} epochs, "
        f"batches of {options.batch_size}, {options.precision}."
    )
