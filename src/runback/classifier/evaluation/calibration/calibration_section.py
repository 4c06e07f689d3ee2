"""The part of an evaluation that says whether the network's confidence can be relied on."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import brier_score_loss

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.calibration.calibration_error import (
    BINS,
    ConfidenceBins,
    confidence_bins,
    expected_calibration_error,
)
from runback.classifier.evaluation.calibration.selective_prediction import (
    accuracy_by_share,
    selection,
    threshold_for,
)
from runback.classifier.evaluation.calibration.temperature import fit_temperature, tempered
from runback.classifier.evaluation.groups.metadata import Grouping, by_class
from runback.classifier.evaluation.measure import Measure
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable
from runback.statistics.paired_seeds import mean_interval


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
    sure = "too sure of itself" if temperature > 1 else "less sure of itself than it could be"
    notes = [
        f"ECE is over {BINS} bins of equal width; noise makes it larger than it is, and its "
        "interval knows that.",
        f"The temperature that fits the {len(validation):,} validation images is {temperature:.3f}: "
        "the network is "
        f"{sure}. Answers stay the same.",
    ]
    threshold = threshold_for(validation, wanted)
    facts: dict[str, object] = {"bins": BINS, "temperature": temperature, "reliability": _rows(bins)}
    tables = []
    if threshold is None:
        notes.append(
            f"No threshold of confidence reaches an accuracy of {wanted:.0%} on the validation images."
        )
    else:
        chosen = selection(answers, threshold)
        measures["answered_share"] = chosen.answered
        if chosen.accuracy is not None:
            measures["answered_accuracy"] = chosen.accuracy
        facts["threshold"] = {"wanted_accuracy": wanted, "confidence": threshold}
        notes.append(
            f"To be right in {wanted:.0%} of its answers on the validation images, it may answer "
            "where its confidence "
            f"is at least {threshold:.4f}; what that does to the test images stands here."
        )
        every = [by_class(answers.labels, answers.class_names), *groupings]
        tables += [_by_group(answers, threshold, one) for one in every]
    return Section(
        name="calibration",
        title="Calibration",
        question="Does its confidence say how often it is right?",
        measures=measures,
        facts=facts,
        notes=notes,
        tables=tables,
        pictures=(
            SectionPicture(
                "Reliability",
                "On the line, confidence is how often it is right; below it, the network is too sure.",
                _reliability(bins, cooled_bins),
            ),
            SectionPicture(
                "Accuracy against the share of images answered",
                "The most confident images first.",
                _selective(answers),
            ),
        ),
    )


def brier_measure(answers: Answers) -> Measure:
    """Return the Brier score, the squared distance over all classes, as scikit-learn has it unscaled."""
    each = ((answers.probabilities - np.eye(answers.probabilities.shape[1])[answers.labels]) ** 2).sum(axis=1)
    interval = mean_interval(each)
    every = range(len(answers.class_names))
    value = brier_score_loss(answers.labels, answers.probabilities, labels=every, scale_by_half=False)
    return Measure(float(value), interval.low, interval.high, len(answers))


def _rows(bins: ConfidenceBins) -> list[dict[str, float]]:
    return [
        {"n": int(n), "confidence": float(confidence / n), "accuracy": float(right / n)}
        for n, right, confidence in zip(bins.n, bins.right, bins.confidence, strict=True)
        if n
    ]


def _by_group(answers: Answers, threshold: float, grouping: Grouping) -> SectionTable:
    rows = []
    for place, name in enumerate(grouping.groups):
        own = np.flatnonzero(grouping.of_image == place)
        if len(own):
            chosen = selection(answers, threshold, own)
            rows.append((name, len(own), chosen.answered, chosen.accuracy))
    head = (grouping.name, "images", "answered", "accuracy")
    return SectionTable(f"What the threshold does by {grouping.name}", head, rows)


def _reliability(before: ConfidenceBins, after: ConfidenceBins) -> Figure:
    figure = Figure(figsize=(5.5, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for bins, label in ((before, "as it is"), (after, "with temperature")):
        used = bins.n > 0
        axes.plot(
            bins.confidence[used] / bins.n[used], bins.right[used] / bins.n[used], marker="o", label=label
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
    axes.set(xlabel="share of images answered", ylabel="accuracy", xlim=(0, 1.02))
    return figure
