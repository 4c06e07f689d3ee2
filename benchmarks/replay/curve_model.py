"""A model of params to curves, made from a table of recorded ones: it stands in for training.

A random forest says which recorded configs are neighbours of a point. The curve of a point is the forest's
mean curve, and the residual of one of its neighbours, drawn at random: what that one's recorded curve has
beyond the mean that the forest gives it from the others ("out of bag"). So curves have the spread and the
unrest of real ones, more where the real ones have more. The draw is a function of seed and params.

What the validation saw of a network is not what it is worth: the reported value of an epoch has the whole
residual, the true one its mean over the epochs beside it, which are nearly the same network.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GroupKFold

from replay.curve_table import Axis, CurveTable

TREES = 200

LEAF = 2
"""Configs of a leaf, at least."""

LEAF_OF_SECONDS = 8
"""The same of the forest that learns the seconds, which the machine disturbs more than the params do."""

FOLDS = 5


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
    """How well curves of configs that were left out are predicted, over 5 folds."""

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
        forest = RandomForestRegressor(
            trees, min_samples_leaf=leaf, max_features=0.7, oob_score=True, random_state=0
        ).fit(features, targets if targets.shape[1] > 1 else targets[:, 0])
        self.out_of_bag = np.reshape(forest.oob_prediction_, targets.shape)
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
        leaves = forest.apply(features) + offsets
        self._members: dict[int, np.ndarray] = {
            int(node): np.flatnonzero((leaves == node).any(axis=1)) for node in np.unique(leaves)
        }

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

    def members(self, leaf: int) -> np.ndarray:
        """Return the places of those that were fitted and lie in a leaf."""
        return self._members[leaf]


class CurveModel:
    """Draws the curve of any point of a table's space."""

    def __init__(self, table: CurveTable) -> None:
        self._features = Features(table.axes)
        x = self._features.of_all(table.configs)
        self._forest = Forest(x, table.values, leaf=LEAF)
        self._residuals = table.values - self._forest.out_of_bag
        self._smooth_residuals = _smooth(self._residuals)
        log_seconds = np.log(np.stack([table.first_seconds, table.seconds], axis=1))
        self._seconds = Forest(x, log_seconds, leaf=LEAF_OF_SECONDS, trees=50)
        is_share = table.values.min() >= 0 and table.values.max() <= 1
        self._bounds = (0.0, 1.0) if is_share else (-np.inf, np.inf)

    def curve(self, params: Mapping[str, Any], seed: int) -> Curve:
        """Return the curve of a point: the same one for the same seed."""
        point = self._features.of(params)
        leaves = self._forest.leaves(point)
        mean = self._forest.mean(leaves)
        digest = hashlib.blake2b(point.tobytes() + seed.to_bytes(8, "big"), digest_size=16).digest()
        tree, member = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
        members = self._forest.members(int(leaves[tree % len(leaves)]))
        donor = members[member % len(members)]
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
                numbers.append(float(value))
        return np.array(numbers, np.float32)  # as the forest has them

    def of_all(self, configs: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the features of many points, (n, features)."""
        return np.stack([self.of(params) for params in configs])


def held_out_error(table: CurveTable) -> FitError:
    """Measure the model's error in the final value on configs that it has not seen."""
    x = Features(table.axes).of_all(table.configs)
    predicted = np.empty_like(table.best)
    points = [tuple(point) for point in x.tolist()]  # a config that is there twice is left out as a whole
    folds = GroupKFold(min(FOLDS, len({*points})), shuffle=True, random_state=0)
    for fitted, left_out in folds.split(x, groups=[points.index(point) for point in points]):
        forest = Forest(x[fitted], table.values[fitted], leaf=LEAF, trees=TREES // 2)
        predicted[left_out] = [forest.mean(forest.leaves(point)).max() for point in x[left_out]]
    errors = predicted - table.best
    return FitError(
        n=len(errors),
        rmse=float(np.sqrt(np.mean(errors**2))),
        r2=float(1 - np.sum(errors**2) / np.sum((table.best - table.best.mean()) ** 2)),
        rank_correlation=float(spearmanr(predicted, table.best).statistic),
    )


def _smooth(curves: np.ndarray) -> np.ndarray:
    """Return the mean of each epoch and those beside it, (n, epochs)."""
    n_epochs = curves.shape[1]
    windows = [curves[:, max(0, i - 1) : i + 2].mean(axis=1) for i in range(n_epochs)]
    return np.stack(windows, axis=1)
