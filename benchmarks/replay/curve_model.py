"""A model of params to curves, made from a table of recorded ones: it stands in for training.

A forest of extremely randomized trees, fitted to the recorded curves without their unrest, gives the mean
curve of a point; the leaves of another one are its neighbours among the recorded configs. The point's curve
is the mean, and the residual of one of the neighbours, drawn at random: what that one's recorded curve has
beyond the mean that a forest gives it which has not seen it. So curves have the spread and the unrest of real
ones, more where the real ones have more; and they stay within the recorded values. The draw is a function of
seed and params.

What the validation saw of a network is not what it is worth: the reported value of an epoch has the whole
residual, the true one is without its unrest, because a network is nearly that of the epoch before.

Sources: P. Geurts, D. Ernst and L. Wehenkel, "Extremely randomized trees", Machine Learning 63 (2006), 3-42;
A. Savitzky and M. J. E. Golay, Analytical Chemistry 36 (1964), 1627-1639, for a line through three epochs.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import savgol_filter
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold

from replay.curve_table import Axis, CurveTable

TREES = 200

LEAF = 1
"""Configs of a leaf, at least."""

LEAF_OF_NEIGHBOURS = 5
"""The same of the forest whose leaves are neighbours."""

LEAF_OF_SECONDS = 8
"""The same of the forest that learns the seconds, which the machine disturbs more than the params do."""

FOLDS = 10


@dataclass(frozen=True, eq=False)
class Curve:
    """The training of one config."""

    reported: np.ndarray
    """val_accuracy after each epoch, as the search sees it, (epochs,)."""
    true: np.ndarray
    """The same without the chance of the validation, (epochs,)."""
    first_seconds: float
    """Seconds of the first epoch in a process."""
    seconds: float
    """Seconds of another epoch."""


@dataclass(frozen=True)
class FitError:
    """How well curves of configs that were left out are predicted, over 10 folds."""

    n: int
    rmse: float
    """Of the final value, the best over the epochs."""
    r2: float
    rank_correlation: float
    """Spearman's, of the final values."""


class Forest:
    """A fitted forest as arrays: one point is asked for in a tenth of a millisecond."""

    def __init__(self, features: np.ndarray, targets: np.ndarray, *, leaf: int, trees: int = TREES) -> None:
        """Fit `features`, (n, features), to `targets`, (n, outputs)."""
        forest = ExtraTreesRegressor(trees, min_samples_leaf=leaf, random_state=0)
        forest.fit(features, targets if targets.shape[1] > 1 else targets[:, 0])
        nodes = [estimator.tree_ for estimator in forest.estimators_]
        offsets = np.cumsum([0, *(tree.node_count for tree in nodes[:-1])])
        self._roots = offsets
        self._feature = np.concatenate([np.maximum(tree.feature, 0) for tree in nodes])
        self._threshold = np.concatenate([tree.threshold for tree in nodes])
        self._left, self._right = (
            np.concatenate(
                [
                    np.where(children < 0, np.arange(len(children)), children) + offset
                    for children, offset in zip(sides, offsets, strict=True)
                ]
            )
            for sides in ([t.children_left for t in nodes], [t.children_right for t in nodes])
        )
        self._values = np.concatenate([tree.value[:, :, 0] for tree in nodes])
        self._depth = max(tree.max_depth for tree in nodes)
        self._leaves = (forest.apply(features) + offsets).T

    def leaves(self, point: np.ndarray) -> np.ndarray:
        """Return the leaf that each tree puts a point into, (trees,)."""
        nodes = self._roots
        for _ in range(self._depth):
            goes_left = point[self._feature[nodes]] <= self._threshold[nodes]
            nodes = np.where(goes_left, self._left[nodes], self._right[nodes])
        return nodes

    def mean(self, leaves: np.ndarray) -> np.ndarray:
        """Return the prediction of these leaves, (outputs,)."""
        return np.asarray(self._values[leaves].mean(axis=0))

    def beside(self, point: np.ndarray, tree: int) -> np.ndarray:
        """Return the places of those that were fitted and lie in a point's leaf of a tree."""
        tree %= len(self._leaves)
        return np.flatnonzero(self._leaves[tree] == self.leaves(point)[tree])


class CurveModel:
    """Draws the curve of any point of a table's space."""

    def __init__(self, table: CurveTable) -> None:
        self._features = Features(table.axes)
        x = self._features.of_all(table.configs)
        smooth = _smooth(table.values)
        self._forest = Forest(x, smooth, leaf=LEAF)
        self._neighbours = Forest(x, smooth, leaf=LEAF_OF_NEIGHBOURS, trees=TREES // 4)
        predicted = _held_out(x, smooth)
        self.error = _fit_error(predicted.max(axis=1), table.best)
        self._residuals = table.values - predicted
        self._smooth_residuals = _smooth(self._residuals)
        self._bounds = (table.values.min(), table.values.max())
        log_seconds = np.log(np.stack([table.first_seconds, table.seconds], axis=1))
        self._seconds = Forest(x, log_seconds, leaf=LEAF_OF_SECONDS, trees=TREES // 4)

    def curve(self, params: Mapping[str, Any], seed: int) -> Curve:
        """Return the curve of a point: the same one for the same seed."""
        point = self._features.of(params)
        mean = self._forest.mean(self._forest.leaves(point))
        digest = hashlib.blake2b(point.tobytes() + seed.to_bytes(8, "big"), digest_size=16).digest()
        tree, place = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
        neighbours = self._neighbours.beside(point, tree)
        donor = neighbours[place % len(neighbours)]
        first_seconds, seconds = np.exp(self._seconds.mean(self._seconds.leaves(point)))
        return Curve(
            reported=np.clip(mean + self._residuals[donor], *self._bounds),
            true=np.clip(mean + self._smooth_residuals[donor], *self._bounds),
            first_seconds=float(first_seconds),
            seconds=float(seconds),
        )


class Features:
    """Turns params into numbers: a text choice into one for each of its choices."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._axes = axes

    def of(self, params: Mapping[str, Any]) -> np.ndarray:
        """Return a point's features, (features,)."""
        numbers: list[float] = []
        for axis in self._axes:
            value = params[axis.name]
            if axis.are_texts:
                numbers += [float(value == choice) for choice in axis.choices]
            else:
                numbers.append(math.log(value) if axis.is_log else float(value))
        return np.array(numbers, np.float32)  # as the forest has them

    def of_all(self, configs: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the features of many points, (n, features)."""
        return np.stack([self.of(params) for params in configs])


def _held_out(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean curve of each config by a forest that has not seen it, (n, epochs)."""
    points = [tuple(point) for point in x.tolist()]  # a config that is there twice is left out as a whole
    folds = GroupKFold(min(FOLDS, len({*points})), shuffle=True, random_state=0)
    predicted = np.empty_like(values)
    for seen, left_out in folds.split(x, groups=[points.index(point) for point in points]):
        forest = Forest(x[seen], values[seen], leaf=LEAF)
        predicted[left_out] = [forest.mean(forest.leaves(point)) for point in x[left_out]]
    return predicted


def _fit_error(predicted: np.ndarray, best: np.ndarray) -> FitError:
    errors = predicted - best
    return FitError(
        n=len(errors),
        rmse=float(np.sqrt(np.mean(errors**2))),
        r2=float(1 - np.sum(errors**2) / np.sum((best - best.mean()) ** 2)),
        rank_correlation=float(spearmanr(predicted, best).statistic),
    )


def _smooth(curves: np.ndarray) -> np.ndarray:
    """Return the values of lines through each epoch and those beside it, (n, epochs)."""
    if curves.shape[1] < 3:
        return curves
    return np.asarray(savgol_filter(curves, window_length=3, polyorder=1, axis=1, mode="interp"))
