"""The record of a training: everything that it is made from besides code, machine and config."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from runback.classifier.build import Prepared
from runback.classifier.train_config import TrainingSpec
from runback.classifier.training.class_weights import class_weights, weights_note
from runback.keras.tensorflow_build import tensorflow_build
from runback.system.config import targets
from runback.system.text.escape import for_markdown
from runback.system.text.quiet_stderr import silenced

if TYPE_CHECKING:
    from runback.classifier.data.dataset import Dataset
    from runback.classifier.data.reading.data_summary import DataSummary

BACKBONE = "runback.classifier.models.backbone.backbone"


def recorded_facts(spec: TrainingSpec, prepared: Prepared, summary: "DataSummary") -> dict[str, Any]:
    """Return what the record of a training says besides that of any other run."""
    train, validation = prepared.train, prepared.validation
    with silenced():
        tensorflow = tensorflow_build()
    return {
        "tensorflow": tensorflow,
        "seeds": {"seed": spec.seed, "validation_seed": spec.config["data"].get("validation_seed")},
        "data": {"train": data_facts(train), "validation": data_facts(validation)},
        "data_summary": summary.as_dict(),
        "devices": prepared.network.distribute_strategy.num_replicas_in_sync,
        "weights": _recorded_file(spec, train),
        "class_weights": _recorded_weights(spec, train),
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


def data_facts(dataset: "Dataset") -> dict[str, Any]:
    """Return the record of a split: its content's hash, and properties that a person can compare."""
    from runback.classifier.data.dataset_hash import content_hash

    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    return {
        "sha256": content_hash(dataset),
        "shape": list(dataset.images.shape),
        "dtype": str(dataset.images.dtype),
        "class_counts": dict(zip(dataset.class_names, counts.tolist(), strict=True)),
    }


def description(spec: TrainingSpec, prepared: Prepared) -> str:
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
