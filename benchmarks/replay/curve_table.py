"""Reads a table of recorded curves: its axes, its curves, its seconds, and the level to reach."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from runback.errors import InputError
from runback.sweeping.space.search_space import Parameter, Space

MEASURED = ("epoch", "val_accuracy", "val_loss", "seconds")
"""The columns of a table that are no params."""

MOST_CHOICES = 10
"""Distinct numbers that still are a choice among them, where there are 5 configs of each."""

FEWEST = 20
"""Configs of which a table needs as many to say anything."""

BEST_SHARE = 0.1
"""The level is the value that this share of the configs reach."""

MISSING = "missing"
"""The choice of a config that has no value on an axis of texts."""


@dataclass(frozen=True)
class Axis:
    """One param that the configs differ in."""

    name: str
    distribution: BaseDistribution

    @property
    def choices(self) -> tuple[Any, ...]:
        """The choices; of a range there are none."""
        return getattr(self.distribution, "choices", ())

    @property
    def is_log(self) -> bool:
        """Whether its numbers count by their ratios: it is a logarithmic range, or choices above 0."""
        if not self.choices:
            return bool(getattr(self.distribution, "log", False))
        return not self.are_texts and min(self.choices) > 0

    @property
    def are_texts(self) -> bool:
        """Whether its choices have no order."""
        return any(isinstance(choice, str) for choice in self.choices)


@dataclass(frozen=True, eq=False)
class CurveTable:
    """The recorded curves of n configs, each over the same epochs."""

    axes: tuple[Axis, ...]
    configs: list[dict[str, Any]]
    values: np.ndarray
    """val_accuracy, (n, epochs)."""
    first_seconds: np.ndarray
    """Each config's first epoch, in which the graph is built, (n,)."""
    seconds: np.ndarray
    """The fastest of each config's other epochs, (n,): what made the others longer was the machine."""
    notes: tuple[str, ...]
    """What was left out or taken for something, a line each."""

    @property
    def n_epochs(self) -> int:
        """The budget of a training."""
        return int(self.values.shape[1])

    @property
    def best(self) -> np.ndarray:
        """The final value of each config: the best over its epochs, (n,)."""
        return np.asarray(self.values.max(axis=1))

    @property
    def level(self) -> float:
        """The final value that the best 10 % of the configs reach."""
        return float(np.quantile(self.best, 1 - BEST_SHARE, method="inverted_cdf"))

    @property
    def space(self) -> Space:
        """The search space."""
        return Space(tuple(Parameter(axis.name, axis.distribution) for axis in self.axes), ())

    def scaled(self, seconds: float) -> "CurveTable":
        """Return the same table with times such that half of the configs' epochs take so many seconds."""
        factor = seconds / float(np.median(self.seconds))
        return CurveTable(
            self.axes,
            self.configs,
            self.values,
            self.first_seconds * factor,
            self.seconds * factor,
            self.notes,
        )


def read_table(file: Path) -> CurveTable:
    """Read a parquet file of curves. Errors: InputError."""
    try:
        rows = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {file}: expected a parquet file of curves; {error}") from error
    try:
        return curve_table(rows)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def curve_table(rows: pd.DataFrame) -> CurveTable:
    """Return the curves of a frame with a row for each epoch of each config. Errors: InputError."""
    rows = rows.set_axis([str(name) for name in rows.columns], axis=1).reset_index(drop=True)
    _check_measured(rows)
    notes: list[str] = []
    params = rows.drop(columns=[*MEASURED])
    params = pd.DataFrame({name: _completed(params[name], notes) for name in params}, index=rows.index)
    alike = [name for name in params if params[name].nunique() < 2]
    params, config = _without_lengths(params.drop(columns=alike), rows["epoch"], notes)
    if params.empty:
        raise InputError("expected a param that the configs differ in; there is none")
    if alike:
        notes.append(f"the same in all configs: {', '.join(alike)}")
    whole = _whole_curves(rows["epoch"], config, notes)
    rows, params, config = rows[whole], params[whole], config[whole]
    values, seconds = (_pivot(rows, config, name) for name in ("val_accuracy", "seconds"))
    lost = int((~np.isfinite(values)).sum())
    if lost:
        notes.append(f"val_accuracy is no number in {lost} epochs: taken for the lowest of all")
        values = np.where(np.isfinite(values), values, values[np.isfinite(values)].min(initial=np.inf))
    if not np.ptp(values.max(axis=1)) > 0:
        raise InputError("expected configs that reach different values of val_accuracy; all reach the same")
    if not (np.isfinite(seconds).all() and (seconds > 0).all()):
        raise InputError("expected seconds above 0 in each row")
    later = seconds[:, min(1, seconds.shape[1] - 1) :].min(axis=1)  # what else ran can only have added to it
    points = params.groupby(config).first()
    return CurveTable(
        axes=tuple(Axis(name, _distribution(points[name])) for name in points),
        configs=[
            {name: _plain(value) for name, value in point.items()} for point in points.to_dict("records")
        ],
        values=values,
        first_seconds=later + np.quantile((seconds[:, 0] - later).clip(0), 0.25),
        seconds=later,
        notes=tuple(notes),
    )


def _check_measured(rows: pd.DataFrame) -> None:
    for name in MEASURED:
        if name not in rows:
            raise InputError(f"expected the columns {', '.join(MEASURED)} besides the params; no {name}")
        if not pd.api.types.is_numeric_dtype(rows[name]):
            raise InputError(f"expected numbers in the column {name}; got {rows[name].dtype}")
    if rows["epoch"].isna().any():
        raise InputError("expected an epoch in each row")


def _completed(column: pd.Series, notes: list[str]) -> pd.Series:
    """Return a param's column without gaps, all that is no number as texts."""
    gaps = int(column.isna().sum())
    if pd.api.types.is_bool_dtype(column):
        return column
    if pd.api.types.is_numeric_dtype(column):
        if gaps:
            notes.append(f"{column.name} is missing in {gaps} rows: its median taken")
        return column.fillna(column.median()) if gaps else column
    if gaps:
        notes.append(f"{column.name} is missing in {gaps} rows: taken for a choice of its own, {MISSING}")
    return column.astype(object).where(column.notna(), MISSING).map(str)


def _without_lengths(
    params: pd.DataFrame, epochs: pd.Series, notes: list[str]
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the params without those that only say how long a curve is, and each row's config.

    One config is told from another by its params, or by repeating an epoch.
    """
    keys = [params[name] for name in params]
    repetition = epochs.groupby([*keys, epochs]).cumcount()
    config = epochs.groupby([*keys, repetition]).ngroup()
    length = epochs.groupby(config).transform("size")
    lengths = [name for name in params if params[name].dtype != object and (params[name] == length).all()]
    notes += [f"{name} is the length of the curves: no axis" for name in lengths]
    return params.drop(columns=lengths), config


def _whole_curves(epochs: pd.Series, config: pd.Series, notes: list[str]) -> pd.Series:
    """Tell the rows of configs that have all the epochs that half of them have. Errors: InputError."""
    numbers = sorted(epochs.unique())
    counts = epochs.groupby(epochs).size().reindex(numbers)
    numbers = [number for number in numbers if counts[number] * 2 >= config.nunique()]
    is_within = epochs.isin(numbers)
    whole = is_within & (is_within.groupby(config).transform("sum") == len(numbers))
    n_configs, n_whole = config.nunique(), config[whole].nunique()
    if not is_within.all():
        notes.append(f"left out: epochs that fewer than half of the configs have, beyond {len(numbers)}")
    if n_whole < n_configs:
        notes.append(f"left out: {n_configs - n_whole} configs with fewer than {len(numbers)} epochs")
    if n_whole < FEWEST:
        raise InputError(f"expected at least {FEWEST} configs with curves of one length; got {n_whole}")
    return whole


def _pivot(rows: pd.DataFrame, config: pd.Series, column: str) -> np.ndarray:
    """Return a column as (configs, epochs), in the order of the configs' numbers and of the epochs."""
    table = rows.assign(config=config).pivot(index="config", columns="epoch", values=column)
    return np.asarray(table.to_numpy(dtype=np.float64, na_value=np.nan))


def _distribution(column: pd.Series) -> BaseDistribution:
    """Find out the axis of which these are the configs' values."""
    distinct = sorted(column.unique(), key=lambda value: (isinstance(value, str), value))
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if not is_number or len(distinct) <= min(MOST_CHOICES, len(column) // 5):
        return CategoricalDistribution([_plain(value) for value in distinct])
    low, high = _plain(distinct[0]), _plain(distinct[-1])
    numbers = column.to_numpy(dtype=np.float64)
    is_log = low > 0 and _unevenness(np.log(numbers)) < _unevenness(numbers)
    if all(float(value).is_integer() for value in distinct):
        return IntDistribution(int(low), int(high), log=is_log)
    return FloatDistribution(float(low), float(high), log=is_log)


def _unevenness(numbers: np.ndarray) -> float:
    """Return how far numbers are from evenly spread between their ends: Kolmogorov and Smirnov's distance."""
    places = (np.sort(numbers) - numbers.min()) / np.ptp(numbers)
    return float(np.abs(places - np.linspace(0, 1, len(numbers))).max())


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
