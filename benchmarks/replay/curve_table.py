"""Reads a table of recorded curves: its axes, its curves, its seconds, and the level to reach."""

from collections.abc import Sequence
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

DECADES = 1.6
"""An axis is logarithmic whose middle 90 % span more: those of a uniform one from 0 span 1.3, those of a
log-uniform one 0.9 of its decades."""

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
        """Whether it is a logarithmic range."""
        return bool(getattr(self.distribution, "log", False))

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
    missing = [name for name in MEASURED if name not in rows]
    if missing:
        raise InputError(f"expected the columns {', '.join(MEASURED)} besides the params; no {missing[0]}")
    numbers = [name for name in MEASURED if not pd.api.types.is_numeric_dtype(rows[name])]
    if numbers:
        raise InputError(f"expected numbers in the column {numbers[0]}; got {rows[numbers[0]].dtype}")
    names = [str(name) for name in rows.columns if name not in MEASURED]
    rows = rows.set_axis([str(name) for name in rows.columns], axis=1)
    varying = [name for name in names if rows[name].nunique(dropna=False) > 1]
    if not varying:
        raise InputError("expected a param that the configs differ in; all rows have the same")
    notes = (
        [f"the same in all configs: {', '.join(sorted({*names} - {*varying}))}"] if names != varying else []
    )
    params = rows[varying].copy()
    for name in varying:
        params[name], said = _completed(rows[name])
        notes += said
    epochs = rows["epoch"].nunique()
    config = _config_numbers(params, rows["epoch"])
    is_whole = rows.groupby(config)["epoch"].transform("nunique") == epochs
    n_configs, n_whole = config.nunique(), config[is_whole].nunique()
    if n_whole < n_configs:
        notes.append(f"left out: {n_configs - n_whole} configs with fewer than {epochs} epochs")
    if n_whole < FEWEST:
        raise InputError(f"expected at least {FEWEST} configs with all {epochs} epochs; got {n_whole}")
    rows, params, config = rows[is_whole], params[is_whole], config[is_whole]
    first = params.groupby(config).first()
    values = _pivot(rows, config, "val_accuracy")
    if np.isnan(values).any():
        notes.append(
            f"val_accuracy is no number in {int(np.isnan(values).sum())} epochs: taken for the lowest"
        )
        values = np.where(np.isnan(values), np.nanmin(values), values)
    seconds = _pivot(rows, config, "seconds")
    if not (np.isfinite(seconds).all() and (seconds > 0).all()):
        raise InputError("expected seconds above 0 in each row")
    return CurveTable(
        axes=tuple(Axis(name, _distribution(first[name])) for name in varying),
        configs=[{name: _plain(value) for name, value in row.items()} for row in first.to_dict("records")],
        values=values,
        first_seconds=seconds[:, 0],
        seconds=seconds[:, min(1, epochs - 1) :].min(axis=1),
        notes=tuple(notes),
    )


def _completed(column: pd.Series) -> tuple[pd.Series, Sequence[str]]:
    """Return a param's column without gaps, texts as texts, and a line about what it took."""
    gaps = int(column.isna().sum())
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        if not gaps:
            return column, ()
        return column.fillna(column.median()), [f"{column.name} is missing in {gaps} rows: its median taken"]
    texts = column.astype(object).where(column.notna(), MISSING)
    if not pd.api.types.is_bool_dtype(column):
        texts = texts.map(str)
    return texts, [f"{column.name} is missing in {gaps} rows: a choice of its own"] if gaps else ()


def _config_numbers(params: pd.DataFrame, epochs: pd.Series) -> pd.Series:
    """Return each row's config: one is told from another by its params, or by repeating an epoch."""
    keys = [params[name] for name in params]
    repetition = epochs.groupby([*keys, epochs]).cumcount()
    return params.assign(repetition=repetition).groupby([*params, "repetition"], sort=False).ngroup()


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
    below, above = np.quantile(column.astype(float), [0.05, 0.95])
    is_log = low > 0 and bool(np.log10(above / below) > DECADES)
    if all(float(value).is_integer() for value in distinct):
        return IntDistribution(int(low), int(high), log=is_log)
    return FloatDistribution(float(low), float(high), log=is_log)


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
