"""The record of a training: everything that it is made from, as data, files, params and tags."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from runback.classifier.build import Prepared, load_data, seed_process
from runback.classifier.train_config import TrainingSpec
from runback.classifier.training.class_weights import class_weights, weights_note
from runback.keras.tensorflow_build import tensorflow_build
from runback.provenance.config_hash import text_hash
from runback.runs.live.record_files import config_yaml
from runback.runs.live.recorded_code import RecordedCode, code_here, machine
from runback.runs.schema import RECORD_FORMAT, RunRecord, SplitRecord
from runback.system.config import targets
from runback.system.config.flattening import flatten
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
        **machine(),  # type: ignore[typeddict-item]
        "tensorflow": tensorflow,
        "threads": {"training": spec.threads},
        "seeds": {"seed": spec.seed, "validation_seed": spec.config["data"].get("validation_seed")},
        "data": {"train": data_facts(train), "validation": data_facts(validation)},
        "data_summary": data_summary(spec, train, validation, notes).as_dict(),
        "weights": _recorded_file(spec, train),
        "class_weights": _recorded_weights(spec, train),
        "choices": dict(spec.choices),
        "config_sha256": text_hash(config_yaml(_experiment(spec))),
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
