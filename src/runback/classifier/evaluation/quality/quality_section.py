"""The part of an evaluation that says how often the network is right."""

from collections.abc import Sequence

import numpy as np

from runback.classifier.data.reading.stored_images import StoredImages
from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.image_sheet import image_sheet
from runback.classifier.evaluation.measure import value_of
from runback.classifier.evaluation.quality.classification import (
    ClassQuality,
    class_qualities,
    confusion_of,
    overall_quality,
)
from runback.classifier.evaluation.quality.confusion import confusion_figure
from runback.classifier.evaluation.quality.near_duplicates import LIKENESS, NearDuplicate, near_duplicates
from runback.classifier.evaluation.quality.suspect_labels import SuspectLabel, suspect_labels
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable

MISTAKES = 25
"""The most confident mistakes that are shown."""

LISTED = 100
"""The most near-duplicates, and suspect labels, that the report names."""

IN_PAGE = 15
"""The most of them that the page shows."""


def quality_section(
    answers: Answers, training: np.ndarray | StoredImages, top_k: int, files: Sequence[str] = ()
) -> Section:
    """Measure accuracy and its kin; `training` are the images that the network was trained on.

    `files` are the names of the test images, where they have some.
    """
    classes = class_qualities(answers)
    confusion = confusion_of(answers)
    mistakes = answers.most_confident(np.flatnonzero(~answers.correct), MISTAKES)
    suspects = suspect_labels(answers)
    copies = near_duplicates(answers.dataset.images, training)
    names = answers.class_names
    notes = [
        f"{len(suspects):,} labels look wrong to the network (confident learning): a person decides.",
        f"{len(copies):,} test images are almost the same as one to train on "
        f"(correlation of at least {LIKENESS}), mirrored ones not counted.",
    ]
    if top_k >= len(names):
        notes.append(f"Top-{top_k} accuracy says nothing where there are {len(names)} classes.")
    without = [one.name for one in classes if not one.n]
    if without:
        notes.append(f"No images of {', '.join(without)}: nothing is said about these classes.")
    return Section(
        name="quality",
        title="Quality",
        question="How often is it right, and where is it not?",
        measures=overall_quality(answers, top_k),
        details=_details(classes, len(suspects), len(copies)),
        facts={
            "classes": [one.as_dict() for one in classes],
            "confusion": confusion.tolist(),
            "confident_mistakes": [
                {
                    **_image(image, files),
                    "label": names[answers.labels[image]],
                    "answer": names[answers.predicted[image]],
                    "confidence": float(answers.confidence[image]),
                }
                for image in mistakes.tolist()
            ],
            "suspect_labels": {
                "n": len(suspects),
                "first": [_suspect(one, names, files) for one in suspects[:LISTED]],
            },
            "near_duplicates": {"n": len(copies), "first": [_copy(one, files) for one in copies[:LISTED]]},
        },
        notes=notes,
        tables=(
            SectionTable(
                "Classes",
                ("class", "images", "recall", "precision", "F1"),
                [(one.name, one.n, one.recall, one.precision, one.f1) for one in classes],
            ),
            *_lists(suspects, copies, names, files),
        ),
        pictures=(
            SectionPicture(
                "Confusion", "Rows are true classes, columns answers.", confusion_figure(confusion, names)
            ),
            *_mistake_sheet(answers, mistakes),
        ),
    )


def _mistake_sheet(answers: Answers, mistakes: np.ndarray) -> list[SectionPicture]:
    if not len(mistakes):
        return []
    names = answers.class_names
    captions = [
        f"{names[answers.labels[image]]:.12} → {names[answers.predicted[image]]:.12} "
        f"{answers.confidence[image]:.1%}"
        for image in mistakes
    ]
    sheet = image_sheet(np.asarray(answers.dataset.images[mistakes]), captions)
    caption = "True class → answer, with its probability."
    return [SectionPicture(f"The {len(mistakes)} most confident mistakes", caption, sheet)]


def _lists(
    suspects: list[SuspectLabel], copies: list[NearDuplicate], names: tuple[str, ...], files: Sequence[str]
) -> list[SectionTable]:
    tables = []
    if suspects:
        rows = [
            (
                files[one.image] if files else one.image,
                names[one.label],
                f"{one.label_probability:.3f}",
                names[one.likelier],
                f"{one.likelier_probability:.3f}",
            )
            for one in suspects[:IN_PAGE]
        ]
        head = ("test image", "label", "its probability", "likelier", "its probability")
        tables.append(SectionTable(f"Suspect labels: the first {len(rows)} of {len(suspects):,}", head, rows))
    if copies:
        pairs = [
            (files[one.image] if files else one.image, one.training_image, f"{one.likeness:.4f}")
            for one in copies[:IN_PAGE]
        ]
        title = f"Near-duplicates: the first {len(pairs)} of {len(copies):,}"
        tables.append(SectionTable(title, ("test image", "training image", "correlation"), pairs))
    return tables


def _details(classes: Sequence[ClassQuality], suspects: int, copies: int) -> dict[str, float | None]:
    numbers = {
        "accuracy": [one.recall for one in classes],
        "precision": [one.precision for one in classes],
        "f1": [one.f1 for one in classes],
    }
    of_classes = {
        f"{number}_{one.name}": value_of(measure)
        for number, measures in numbers.items()
        for one, measure in zip(classes, measures, strict=True)
    }
    return {**of_classes, "suspect_labels": suspects, "near_duplicates": copies}


def _image(image: int, files: Sequence[str]) -> dict[str, object]:
    return {"image": image, "file": files[image]} if files else {"image": image}


def _suspect(one: SuspectLabel, names: tuple[str, ...], files: Sequence[str]) -> dict[str, object]:
    return {
        **_image(one.image, files),
        "label": names[one.label],
        "label_probability": one.label_probability,
        "likelier": names[one.likelier],
        "likelier_probability": one.likelier_probability,
    }


def _copy(one: NearDuplicate, files: Sequence[str]) -> dict[str, object]:
    return {**_image(one.image, files), "training_image": one.training_image, "likeness": one.likeness}
