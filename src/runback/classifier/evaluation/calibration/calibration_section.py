"""The part of an evaluation that says whether the network's confidence can be relied on."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.calibration.calibration_error import (
    BINS,
    ConfidenceBins,
    confidence_bins,
    expected_calibration_error,
)
from runback.classifier.evaluation.calibration.selective_prediction import (
    Selection,
    accuracy_by_share,
    selection,
    threshold_for,
)
from runback.classifier.evaluation.calibration.temperature import fit_temperature, tempered
from runback.classifier.evaluation.groups.metadata import Grouping, by_class
from runback.classifier.evaluation.measure import LEAST_IMAGES, TOO_FEW, Measure
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable
from runback.statistics.interval import mean_interval

CURVE_POINTS = 20
"""Points of the curve of accuracy against the share answered that the report has."""


def calibration_section(
    answers: Answers, validation: Answers, wanted: float, groupings: Sequence[Grouping] = ()
) -> Section:
    """Measure calibration before and after a temperature, and what a threshold for `wanted` accuracy does.

    What it does is shown for each class, and for each group of `groupings`.
    """
    n = len(answers)
    temperature = fit_temperature(validation)
    cooled = tempered(answers, temperature)
    bins, cooled_bins = confidence_bins(answers), confidence_bins(cooled)
    measures = {
        "ece": Measure.of(expected_calibration_error(bins), n),
        "brier": brier_measure(answers),
        "ece_with_temperature": Measure.of(expected_calibration_error(cooled_bins), n),
        "brier_with_temperature": brier_measure(cooled),
        "log_loss_with_temperature": Measure.of(mean_interval(cooled.losses), n),
    }
    facts: dict[str, object] = {
        "bins": BINS,
        "temperature": temperature,
        "reliability": _rows(bins),
        "accuracy_by_share": _curve_rows(answers),
    }
    notes = [_ece_note(), _temperature_note(temperature, len(validation))]
    tables: list[SectionTable] = []
    threshold = threshold_for(validation, wanted)
    if threshold is None:
        notes.append(
            f"No threshold of confidence reaches an accuracy of {100 * wanted:g} % on the validation images."
        )
    else:
        every = [by_class(answers.labels, answers.class_names), *groupings]
        chosen = selection(answers, threshold)
        by_group = {one.name: _by_group(answers, threshold, one) for one in every}
        measures["coverage"] = chosen.answered
        if chosen.accuracy is not None:
            measures["selective_accuracy"] = chosen.accuracy
        facts["threshold"] = {
            "wanted_accuracy": wanted,
            "confidence": threshold,
            "groupings": [
                {"name": name, "groups": [_group_facts(*row) for row in rows]}
                for name, rows in by_group.items()
            ],
        }
        notes.append(_threshold_note(threshold, wanted))
        tables += [_group_table(name, rows) for name, rows in by_group.items()]
    return Section(
        name="calibration",
        title="Calibration",
        question="Does its confidence say how often it is right?",
        measures=measures,
        details={"temperature": temperature},
        facts=facts,
        notes=notes,
        tables=tables,
        pictures=(
            SectionPicture(
                "Reliability",
                "On the line, confidence is how often the network is right; below it, it is too sure.",
                _reliability(bins, cooled_bins),
            ),
            SectionPicture(
                "Accuracy of the images that it is most sure of",
                "To the left it answers the few images that it is most sure of, to the right all.",
                _selective(answers),
            ),
        ),
    )


def brier_measure(answers: Answers) -> Measure:
    """Return the Brier score, the squared distance over all classes, as scikit-learn has it unscaled."""
    of_label = np.eye(len(answers.class_names))[answers.labels]
    return Measure.of(mean_interval(((answers.probabilities - of_label) ** 2).sum(axis=1)), len(answers))


def _rows(bins: ConfidenceBins) -> list[dict[str, float]]:
    return [
        {"n": int(n), "confidence": float(confidence / n), "accuracy": float(right / n)}
        for n, right, confidence in zip(bins.n, bins.correct, bins.confidence, strict=True)
        if n
    ]


def _ece_note() -> str:
    return (
        f"ECE is over {BINS} bins of equal width; the Brier score is the squared distance over all classes, "
        "from 0 to 2. Noise makes ECE larger than it is: the interval is for the "
        "error without noise, which lies below the estimate as a rule."
    )


def _temperature_note(temperature: float, n: int) -> str:
    sure = "too sure of itself" if temperature > 1 else "less sure of itself than it could be"
    return (
        f"The temperature that fits the {n:,} validation images is {temperature:.3f}: "
        f"the network is {sure}. Answers stay the same."
    )


def _threshold_note(threshold: float, wanted: float) -> str:
    return (
        f"To be right in {100 * wanted:g} % of its answers on the validation images, it may answer where its "
        f"confidence is at least {threshold:.4f}; the tables have what that does to the test images."
    )


def _curve_rows(answers: Answers) -> list[dict[str, float]]:
    shares, accuracies = accuracy_by_share(answers)
    places = np.unique(np.ceil(np.linspace(0.05, 1, CURVE_POINTS) * len(shares)).astype(int) - 1)
    return [
        {"share": float(shares[place]), "accuracy": float(accuracies[place])} for place in places.tolist()
    ]


def _by_group(
    answers: Answers, threshold: float, grouping: Grouping
) -> list[tuple[str, int, Selection | None]]:
    """Return each group, its images, and what a threshold does to it; None where these are not enough."""
    counts = np.bincount(grouping.of_image, minlength=len(grouping.groups))
    return [
        (
            name,
            int(count),
            selection(answers, threshold, np.flatnonzero(grouping.of_image == place))
            if count >= LEAST_IMAGES
            else None,
        )
        for place, (name, count) in enumerate(zip(grouping.groups, counts, strict=True))
    ]


def _group_facts(name: str, n: int, chosen: Selection | None) -> dict[str, object]:
    return {
        "name": name,
        "n": n,
        "coverage": chosen and chosen.answered.as_dict(),
        "selective_accuracy": chosen and chosen.accuracy and chosen.accuracy.as_dict(),
    }


def _group_table(grouping: str, rows: list[tuple[str, int, Selection | None]]) -> SectionTable:
    cells = [
        (name, n, chosen.answered, chosen.accuracy) if chosen else (name, n, TOO_FEW, "")
        for name, n, chosen in rows
    ]
    return SectionTable(
        f"What the threshold does by {grouping}",
        (grouping, "images", "coverage", "selective accuracy"),
        cells,
    )


def _reliability(before: ConfidenceBins, after: ConfidenceBins) -> Figure:
    figure = Figure(figsize=(5.5, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for bins, label in ((before, "as it is"), (after, "with temperature")):
        used = bins.n > 0
        axes.plot(
            bins.confidence[used] / bins.n[used], bins.correct[used] / bins.n[used], marker="o", label=label
        )
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend()
    return figure


def _selective(answers: Answers) -> Figure:
    figure = Figure(figsize=(5.5, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    shares, accuracies = accuracy_by_share(answers)
    later = shares >= 0.02  # a handful of images says nothing
    axes.plot(shares[later], accuracies[later])
    axes.set(xlabel="coverage: share of images answered", ylabel="accuracy", xlim=(0, 1.02))
    return figure
