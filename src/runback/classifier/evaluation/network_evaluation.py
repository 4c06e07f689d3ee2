"""The evaluation of a network: all its sections, one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import Answers, answers
from runback.classifier.evaluation.calibration.calibration_section import calibration_section
from runback.classifier.evaluation.groups.groups_section import groups_section
from runback.classifier.evaluation.groups.metadata import Grouping
from runback.classifier.evaluation.inputs.inputs_section import inputs_section
from runback.classifier.evaluation.privacy.membership import ReferenceLosses
from runback.classifier.evaluation.privacy.membership_section import membership_section
from runback.classifier.evaluation.quality.quality_section import quality_section
from runback.classifier.evaluation.section import Section
from runback.classifier.evaluation.shifts.consistency import consistency
from runback.classifier.evaluation.shifts.corruption_accuracy import corruption_accuracy
from runback.classifier.evaluation.shifts.corruption_table import CORRUPTIONS, SEVERITIES
from runback.classifier.evaluation.shifts.shifts_section import consistency_section, corruptions_section
from runback.classifier.evaluation.shifts.translation import MOVES

MEMBERS = 10_000
"""The most training images that membership is asked about: each one of so many, in their order."""

STEPS = 7 + len(MOVES) + len(CORRUPTIONS) * len(SEVERITIES)
"""How often `tick` is called."""


@dataclass(frozen=True, eq=False)
class Splits:
    """What a network was trained on, what it was chosen by, and what it has never seen."""

    train: Dataset
    validation: Dataset
    test: Dataset


@dataclass(frozen=True)
class EvaluationOptions:
    """What is asked besides."""

    top_k: int
    wanted_accuracy: float = 0.95
    """Of the answers that a network gives where it may leave images to a person."""
    groupings: Sequence[Grouping] = ()
    notes: Sequence[str] = ()
    """What was done to the metadata."""
    reference: Any = None
    """Another run's accuracies on corrupted images."""
    foreign: np.ndarray | None = None
    """Images of another data set, uint8 of the test images' shape."""
    references: Callable[[Dataset, Dataset], Sequence[ReferenceLosses]] = lambda members, others: ()
    """Asks other networks about images of the training, and others."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found, in the order in which a person reads it."""

    answers: Answers
    sections: Sequence[Section] = field(default_factory=tuple)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: each section by its name."""
        return {section.name: section.as_dict() for section in self.sections}


def evaluate(
    network: keras.Model,
    splits: Splits,
    options: EvaluationOptions,
    tick: Callable[[str], None],
    *,
    is_own: bool = False,
) -> Evaluation:
    """Measure a network; `tick` is called `STEPS` times, each time with what comes next.

    With `is_own`, the images to test on are of another source than the training's, and membership, which
    would tell the sources apart, is not measured.

    Errors: InputError where the network does not return probabilities of the classes.
    """
    tick("test images")
    tested = answers(network, splits.test)
    tick("validation images")
    validated = answers(network, splits.validation)
    step = max(1, -(-len(splits.train) // MEMBERS))
    tick("training images")
    members = answers(network, _every(splits.train, step))
    tick("quality")
    sections = [
        quality_section(tested, splits.train.images, options.top_k),
        calibration_section(tested, validated, options.wanted_accuracy, options.groupings),
    ]
    tick("groups")
    sections.append(groups_section(tested, options.groupings, options.notes))
    moves = consistency(network, tested, lambda: tick("moved images"))
    sections.append(consistency_section(moves))
    worse = corruption_accuracy(network, tested, lambda: tick("corrupted images"))
    sections.append(corruptions_section(worse, tested, options.reference))
    tick("inputs")
    sections.append(inputs_section(network, tested, options.foreign))
    tick("membership")
    if not is_own:
        references = options.references(members.images, splits.test)
        sections.append(membership_section(members, tested, references))
    return Evaluation(tested, tuple(sections))


def _every(dataset: Dataset, step: int) -> Dataset:
    rows = np.arange(0, len(dataset), step)
    return Dataset(dataset.images[rows], dataset.labels[rows], dataset.class_names)
