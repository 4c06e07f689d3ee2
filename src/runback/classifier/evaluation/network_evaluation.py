"""The evaluation of a network: all its sections, one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import Answers, predict_answers
from runback.classifier.evaluation.calibration.calibration_section import calibration_section
from runback.classifier.evaluation.groups.groups_section import groups_section
from runback.classifier.evaluation.groups.metadata import Grouping
from runback.classifier.evaluation.inputs.inputs_section import inputs_section
from runback.classifier.evaluation.privacy.membership_section import References, membership_section
from runback.classifier.evaluation.quality.quality_section import quality_section
from runback.classifier.evaluation.section import Section
from runback.classifier.evaluation.shifts.consistency import consistency
from runback.classifier.evaluation.shifts.corruption_accuracy import ReferenceAccuracies, corruption_accuracy
from runback.classifier.evaluation.shifts.corruption_table import CORRUPTIONS, SEVERITIES
from runback.classifier.evaluation.shifts.shifts_section import consistency_section, corruptions_section
from runback.classifier.evaluation.shifts.translation import MOVES

MEMBERS = 10_000
"""The most training images that membership is asked about."""

STEPS = 6 + len(MOVES) + len(CORRUPTIONS) * len(SEVERITIES)
"""How often `tick` is called."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The images that a network was trained on, those it was chosen by, and those it has never seen."""

    train: Dataset
    validation: Dataset
    test: Dataset


def no_references(_members: Dataset, _others: Dataset) -> References:
    """Return that there are no networks to compare with."""
    return References()


@dataclass(frozen=True)
class EvaluationOptions:
    """Choices of whoever evaluates."""

    top_k: int
    wanted_accuracy: float = 0.95
    """Of the answers that a network gives where it may leave images to a person."""
    groupings: Sequence[Grouping] = ()
    files: Sequence[str] = ()
    """The names of the test images, where they have some."""
    notes: Sequence[str] = ()
    """Sentences on what was done to the metadata."""
    baseline: ReferenceAccuracies | None = None
    other_images: np.ndarray | None = None
    """Images of another data set, uint8 of the test images' shape."""
    with_membership: bool = True
    references: Callable[[Dataset, Dataset], References] = no_references
    """Asks other networks about images of the training, and of the test split."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The answers of a network, and the sections in the order in which a person reads them."""

    answers: Answers
    sections: Sequence[Section] = field(default_factory=tuple)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: each section by its name."""
        return {section.name: section.as_dict() for section in self.sections}


def evaluate(
    network: keras.Model, splits: Splits, options: EvaluationOptions, tick: Callable[[str], None]
) -> Evaluation:
    """Measure a network; `tick` is called `STEPS` times, with what is done next.

    Without training images, membership is not measured. Errors: InputError where the network does not return
    probabilities of the classes.
    """
    tick("test images")
    tested = predict_answers(network, splits.test)
    tick("validation images")
    validated = predict_answers(network, splits.validation)
    tick("quality")
    sections = [
        quality_section(tested, splits.train.images, options.top_k, options.files),
        calibration_section(tested, validated, options.wanted_accuracy, options.groupings),
    ]
    tick("groups")
    sections.append(groups_section(tested, options.groupings, options.notes))
    moves = consistency(network, tested, lambda: tick("moved images"))
    sections.append(consistency_section(moves))
    worse = corruption_accuracy(network, tested, lambda: tick("corrupted images"))
    sections.append(corruptions_section(worse, tested, options.baseline))
    tick("inputs")
    sections.append(inputs_section(network, tested, options.other_images))
    tick("membership")
    if options.with_membership:
        members = predict_answers(network, _some(splits.train))
        references = options.references(members.dataset, splits.test)
        sections.append(membership_section(members, tested, references))
    return Evaluation(tested, tuple(sections))


def _some(dataset: Dataset) -> Dataset:
    """Return up to `MEMBERS` images, drawn with a fixed seed, in their order."""
    if len(dataset) <= MEMBERS:
        return dataset
    return dataset.take(np.sort(np.random.default_rng(0).choice(len(dataset), MEMBERS, replace=False)))
