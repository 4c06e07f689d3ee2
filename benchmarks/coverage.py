"""How often intervals of an evaluation hold the truth: 95 % is wanted, in simulated test splits.

    python benchmarks/coverage.py [--draws N] [--images N]

Each draw is a test split of N images whose true values are known, since they are drawn from a known law; an
interval is asked whether it holds them. With the defaults it takes about a quarter of an hour on one core.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import softmax
from scipy.stats import norm

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.calibration.calibration_error import (
    BINS,
    confidence_bins,
    expected_calibration_error,
)
from runback.classifier.evaluation.calibration.calibration_section import brier_measure
from runback.classifier.evaluation.privacy.membership import ReferenceLosses, reference_attack
from runback.classifier.evaluation.quality.classification import class_qualities, overall_quality
from runback.statistics.bounded_mean import bounded_mean_interval
from runback.statistics.group_extremes import group_extremes
from runback.statistics.interval import Interval
from runback.statistics.paired_answers import paired_answers
from runback.statistics.roc_curve import area_under_roc, sensitivity_at
from runback.statistics.wilson_interval import wilson

CLASSES = tuple("abcdefghij")

TRUTH = 2_000_000
"""Images that true values are computed from."""

Ends = tuple[float, float]

Case = Callable[[np.random.Generator, int], Iterator[tuple[str, Ends, float]]]
"""Draws a split of n images and yields the name of an interval, its ends, and the truth."""


def main() -> None:
    """Simulate, and print."""
    options = _options()
    print(f"{options.draws:,} draws of {options.images:,} images; 95 % wanted")
    for case in (_network_case(), _shares, _means, _groups, _curves, _references, _pairs):
        held: dict[str, list[bool]] = {}
        generator = np.random.default_rng(0)
        for _ in range(options.draws):
            for name, (low, high), truth in case(generator, options.images):
                held.setdefault(name, []).append(low - 1e-12 <= truth <= high + 1e-12)
        for name, hits in held.items():
            low, high = wilson(sum(hits), len(hits))
            print(f"{name:45s} {np.mean(hits):6.1%}  (95 %: {low:.1%} to {high:.1%})", flush=True)


def _draw_answers(generator: np.random.Generator, n: int) -> Answers:
    """Draw answers of a network that is too sure of itself, and better at some classes than at others."""
    labels = generator.integers(0, len(CLASSES), n)
    logits = generator.normal(0, 1, (n, len(CLASSES)))
    logits[np.arange(n), labels] += np.linspace(1.5, 3.0, len(CLASSES))[labels] + generator.normal(0, 1, n)
    return Answers(Dataset(np.zeros((n, 1, 1, 1), np.uint8), labels, CLASSES), softmax(1.5 * logits, axis=1))


def _network_case() -> Case:
    whole = _draw_answers(np.random.default_rng(99), TRUTH)
    bins = confidence_bins(whole)
    truth = {name: one.value for name, one in overall_quality(whole, 2).items()}
    truth["expected calibration error"] = float(np.abs(bins.distance).sum() / bins.n.sum())
    truth["Brier score"] = brier_measure(whole).value
    classes = {
        f"{name} of a class": getattr(class_qualities(whole)[0], name).value
        for name in ("recall", "precision", "f1")
    }

    def case(generator: np.random.Generator, n: int) -> Iterator[tuple[str, Ends, float]]:
        answers = _draw_answers(generator, n)
        for name, one in overall_quality(answers, 2).items():
            yield name, _of(Interval(one.value, one.low or 0.0, one.high or 0.0)), truth[name]
        error = expected_calibration_error(confidence_bins(answers))
        yield f"expected calibration error, {BINS} bins", _of(error), truth["expected calibration error"]
        brier = brier_measure(answers)
        yield "Brier score", (brier.low or 0.0, brier.high or 0.0), truth["Brier score"]
        first = class_qualities(answers)[0]
        for name in ("recall", "precision", "f1"):
            one = getattr(first, name)
            yield f"{name} of a class", (one.low, one.high), classes[f"{name} of a class"]

    return case


def _shares(generator: np.random.Generator, n: int) -> Iterator[tuple[str, Ends, float]]:
    for share in (0.5, 0.8, 0.95):
        yield f"a share of {share:g}", wilson(int(generator.binomial(n, share)), n), share


CIFAR = [0.9, 0.95, 0.85, 0.72, 0.88, 0.8, 0.92, 0.9, 0.94, 0.93]

GROUPS = {
    "ten equal groups": ([0.8] * 10, [1] * 10),
    "one worse of ten": ([0.6, *[0.8] * 9], [1] * 10),
    "one slightly worse of ten": ([0.77, *[0.8] * 9], [1] * 10),
    "ten like CIFAR-10's classes": (CIFAR, [1] * 10),
    "two groups": ([0.8, 0.85], [1, 1]),
    "a small one worse of ten": ([0.7, *[0.8] * 9], [0.1, *[1] * 9]),
    "a small one slightly worse of ten": ([0.75, *[0.8] * 9], [0.1, *[1] * 9]),
    "half of ten small": ([0.7, *[0.8] * 9], [*[0.15] * 5, *[1] * 5]),
    "two near 1": ([0.978, 1.0], [0.1, 0.1]),
    "five near 1": ([0.99, 0.995, 1.0, 1.0, 1.0], [0.5] * 5),
}
"""The true shares of groups, and their sizes, relative to a tenth of the images."""


def _groups(generator: np.random.Generator, n: int) -> Iterator[tuple[str, Ends, float]]:
    for name, (shares, sizes) in GROUPS.items():
        counts = np.maximum(30, np.round(np.array(sizes) * n / 10)).astype(int)
        found = group_extremes(generator.binomial(counts, shares), counts)
        yield f"worst group, {name}", _of(found.worst_share), min(shares)
        yield f"largest gap, {name}", _of(found.gap), max(shares) - min(shares)


def _means(generator: np.random.Generator, n: int) -> Iterator[tuple[str, Ends, float]]:
    """Shares of 16 moves in which each image's answer stays: few images change in many, most in none."""
    for name, spread in (("few", (60.0, 0.5)), ("many", (4.0, 1.0))):
        stays = generator.binomial(16, generator.beta(*spread, n)) / 16
        yield f"consistency, {name} change", _of(bounded_mean_interval(stays)), spread[0] / sum(spread)


def _references(generator: np.random.Generator, n: int) -> Iterator[tuple[str, Ends, float]]:
    """Networks that have seen an eighth of the training images, and nothing that is given away."""
    members, others = generator.exponential(1, (2, n)) ** 2
    references = [
        ReferenceLosses(
            members * generator.lognormal(0, 0.5, n),
            generator.random(n) < 0.125,
            others * generator.lognormal(0, 0.5, n),
        )
        for _ in range(4)
    ]
    found = reference_attack(members, others, references)
    if found is not None:
        yield "AUC with references, no leak", (found.low or 0.0, found.high or 0.0), 0.5


def _curves(generator: np.random.Generator, n: int) -> Iterator[tuple[str, Ends, float]]:
    """Normal scores half a deviation apart: area Phi(0.5 / sqrt 2), sensitivity Phi(0.5 - z) at a rate."""
    positive, negative = generator.normal(0.5, 1, n), generator.normal(0, 1, n)
    yield "area under the ROC curve", _of(area_under_roc(positive, negative)), float(norm.cdf(0.5 / 2**0.5))
    found = sensitivity_at(positive, negative, 0.01)
    if found is not None:
        yield "true positives at 1 % false ones", _of(found), float(norm.cdf(0.5 - norm.ppf(0.99)))


def _pairs(generator: np.random.Generator, n: int) -> Iterator[tuple[str, Ends, float]]:
    kind = generator.choice(4, n, p=[0.78, 0.07, 0.05, 0.10])
    found = paired_answers(np.isin(kind, [0, 1]), np.isin(kind, [0, 2]))
    yield "difference of two networks", _of(found.difference), 0.02


def _of(interval: Interval) -> Ends:
    return interval.low, interval.high


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--draws", type=int, default=1000, metavar="N", help="simulated splits (default: 1000)"
    )
    parser.add_argument(
        "--images", type=int, default=2000, metavar="N", help="images of each (default: 2000)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
