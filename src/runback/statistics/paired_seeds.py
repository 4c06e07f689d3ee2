"""Compares finalists that were trained on the same fresh seeds: a paired design.

Seeds stand for all that is drawn at random in a training. The intervals are about these draws, on the
validation images that the sweep has; they are not about other images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from runback.statistics.interval import CONFIDENCE, Interval, mean_interval, t_quantile

DRAWS = 100_000
"""Draws from the posterior: the probability of being best is right to about 0.3 percentage points."""

ROUNDING = 1e-12
"""Relative to the values: a spread below this is that of floating-point sums."""


@dataclass(frozen=True)
class Standing:
    """One finalist: `trial`, its value in the search, and its values on the fresh seeds, in their order."""

    trial: int
    search: float
    values: tuple[float, ...]
    mean: Interval
    """Student's t interval, n - 1 degrees of freedom."""
    optimism: float
    """The search's value less the mean, in the direction that is better; negative: it looked worse."""
    probability_best: float | None
    """None where it is the only one, or where the seeds make no difference at all."""
    lead: Interval | None
    """The best one's lead over this one, positive whatever the direction; None for the best one."""

    @property
    def is_behind(self) -> bool:
        """Whether the best one is better than this one beyond noise."""
        return self.lead is not None and self.lead.is_beyond_noise


def standings(
    search: Mapping[int, float], confirmed: Mapping[int, Sequence[float]], *, maximize: bool
) -> list[Standing]:
    """Compare finalists by their values on the same n seeds, n at least 2; return the best mean first.

    Leads are paired t intervals, at a confidence of 1 - 0.05 / m for the m pairs that finalists form
    (Bonferroni): the best one is chosen after looking, so a lead over any other is one of all m. The
    probability that any lead is called real although all means are equal is then 5 % at most.
    """
    trials = list(confirmed)
    values = np.array([confirmed[trial] for trial in trials], np.float64)
    good = values if maximize else -values
    chances = _probabilities_best(good)
    best = max(
        range(len(trials)), key=lambda place: (good[place].mean(), _good(search[trials[place]], maximize))
    )
    pairs = max(1, len(list(combinations(trials, 2))))
    found = []
    for place, trial in enumerate(trials):
        mean = float(values[place].mean())
        found.append(
            Standing(
                trial=trial,
                search=search[trial],
                values=tuple(values[place].tolist()),
                mean=mean_interval(values[place]),
                optimism=_good(search[trial], maximize) - _good(mean, maximize),
                probability_best=None if chances is None else float(chances[place]),
                lead=None if place == best else _lead(good[best] - good[place], good, pairs),
            )
        )
    return sorted(found, key=lambda one: (one.lead is not None, -_good(one.mean.mean, maximize)))


def welch(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Return how far the first mean lies above the second, of independent values: at least 2 each.

    Source: B. L. Welch, "The generalization of 'Student's' problem when several different population
    variances are involved", Biometrika 34 (1947), 28-35.
    """
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    difference = float(np.mean(first) - np.mean(second))
    if _is_nothing(sum(parts) ** 0.5, [*first, *second]):
        return _unmeasurable(difference)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    half = t_quantile(freedom, CONFIDENCE) * sum(parts) ** 0.5
    return Interval(difference, difference - half, difference + half)


def _lead(differences: np.ndarray, values: np.ndarray, pairs: int) -> Interval:
    if _is_nothing(float(np.std(differences, ddof=1)), values):
        return _unmeasurable(float(differences.mean()))
    return mean_interval(differences, 1 - (1 - CONFIDENCE) / pairs)


def _unmeasurable(difference: float) -> Interval:
    """Return a difference that is the same on every seed: what chance does to it cannot be told from that.

    Accuracies on few images are coarse, and few seeds give the same difference twice quite often.
    """
    return Interval(difference, float("nan"), float("nan"))


def _probabilities_best(values: np.ndarray) -> np.ndarray | None:
    """Return each finalist's posterior probability of the highest mean; `values` are (finalists, seeds).

    Model: value = finalist + seed + noise, the noise normal and of equal variance s2; prior: flat in all
    effects and in log s2. Then s2 is SSE / chi2(df) with df = (k - 1)(n - 1), and the means are normal around
    the observed ones with variance s2 / n. Source: the regression with the standard noninformative prior in
    A. Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), section 14.2. Drawn with a fixed seed.
    """
    finalists, seeds = values.shape
    means = values.mean(axis=1)
    residuals = values - means[:, None] - values.mean(axis=0) + values.mean()
    freedom = (finalists - 1) * (seeds - 1)
    if freedom == 0 or _is_nothing(float(np.sqrt((residuals**2).sum() / freedom)), values):
        return None
    generator = np.random.default_rng(0)
    spread = np.sqrt((residuals**2).sum() / generator.chisquare(freedom, (DRAWS, 1)) / seeds)
    drawn = means + spread * generator.standard_normal((DRAWS, finalists))
    return np.bincount(drawn.argmax(axis=1), minlength=finalists) / DRAWS


def _is_nothing(spread: float, values: Any) -> bool:
    return spread <= ROUNDING * max(1e-300, float(np.abs(values).max()))


def _good(value: float, maximize: bool) -> float:
    return value if maximize else -value
