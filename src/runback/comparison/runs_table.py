"""Selects the runs of a table, their order, and their columns."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from runback.comparison.run_frames import RunFrame
from runback.errors import InputError
from runback.runs.objectives import OBJECTIVES, higher_is_better, recorded_objectives
from runback.system.text.formatting import short_names
from runback.system.text.listing import did_you_mean
from runback.tracking.metric_names import best

RESULTS = ("val_accuracy", "val_loss", "test_accuracy")
"""Metrics that are shown, besides the objectives; of what was kept, as `best_val_accuracy`, if known."""


@dataclass(frozen=True, eq=False)
class RunTable:
    """The runs to show, with all their columns, and which of these to show.

    `varying` are those of the shown columns that runs are made from, `by` is what the runs are ordered by,
    `of` how many there are in all, and `is_default` says whether nobody chose the columns.
    """

    rows: pd.DataFrame
    columns: list[str]
    varying: list[str]
    by: str
    of: int
    is_default: bool


def make_table(
    found: RunFrame, *, sort: str | None = None, top: int | None = None, columns: str | None = None
) -> RunTable:
    """Return the table of these runs, the best first.

    That is finished runs before others, and by the first objective; or by the column `sort`: an accuracy's
    highest first, of everything else the lowest. `top` is how many runs to show, `columns` which columns,
    separated by commas; each goes by its name or the last part of it. Errors: InputError.
    """
    objectives = _objectives(found)
    by = _kept(objectives[0], found.rows) if sort is None else _named(sort, found)
    values = found.rows[by]
    if sort is None and objectives[0] in found.rows:
        values = values.fillna(found.rows[objectives[0]])
    is_higher_better = _is_higher_better(by, found.objectives)
    order = _order(found.rows, values, is_finished_first=sort is None, is_higher_better=is_higher_better)
    rows = found.rows.loc[order]
    varying = varying_columns(found)
    shown = _default(found, objectives, varying) if columns is None else _list(columns, found)
    chosen = [name for name in shown if name in varying]
    return RunTable(rows if top is None else rows.head(top), shown, chosen, by, len(rows), columns is None)


def varying_columns(found: RunFrame) -> list[str]:
    """Return what these runs are made from as far as it differs.

    Knobs that come and go with the choice of a part, as the momentum of one optimizer, are left out where
    they are the same in all runs that have them: the choice tells. Trials that failed before their training
    have few params; what they lack says nothing either.
    """
    rows = found.rows.dropna(subset=[name for name in ["parameters"] if name in found.rows])
    differing = [name for name in found.causes if rows[name].nunique(dropna=False) > 1]
    choices = {name.removesuffix(".name"): rows[name] for name in differing if name.endswith(".name")}
    return [name for name in differing if not _is_told(rows[name], choices.get(name.rpartition(".")[0]))]


def _is_told(knob: pd.Series, choice: pd.Series | None) -> bool:
    """Return whether a knob has one value, in all runs with some choices of its part and in no others."""
    if choice is None or knob.nunique() > 1:
        return False
    return bool(knob.isna().groupby(choice).nunique().max() <= 1)


def _kept(name: str, rows: pd.DataFrame) -> str:
    """Return the column with a metric of the epoch whose weights were kept, where there is one."""
    return best(name) if best(name) in rows else name


def _objectives(found: RunFrame) -> list[str]:
    """Return the objectives that there are values of; without any, a classifier's default, or nothing's."""
    recorded = found.rows.get("training.objective", pd.Series()).dropna()
    default = recorded_objectives(None if recorded.empty else str(recorded.iloc[0]))
    names = [*found.objectives] or default
    return [name for name in names if name in found.rows or best(name) in found.rows] or ["run"]


def _is_higher_better(column: str, objectives: Mapping[str, str]) -> bool:
    named = {**objectives, **{best(name): direction for name, direction in objectives.items()}}
    return named[column] == "maximize" if column in named else higher_is_better(column)


def _order(
    rows: pd.DataFrame, values: pd.Series, *, is_finished_first: bool, is_higher_better: bool
) -> pd.Index:
    """Return the rows' labels in the order of a column's values; those without one come last."""
    keys = pd.DataFrame({"value": values})
    keys["unfinished"] = is_finished_first & (rows["status"] != "FINISHED")
    keys["trial"] = rows.get("trial", 0)
    return keys.sort_values(
        ["unfinished", "value", "trial"], ascending=[True, not is_higher_better, True]
    ).index


def _default(found: RunFrame, objectives: list[str], varying: list[str]) -> list[str]:
    measured = [name for name in found.metrics if name in found.rows]
    wanted = [name for name in dict.fromkeys([*objectives, *RESULTS]) if {name, best(name)} & {*measured}]
    results = {_kept(name, found.rows) for name in wanted}
    results |= {name for name in wanted if found.rows[_kept(name, found.rows)].isna().any()}
    intervals = {f"{name}_{end}" for name in results for end in ("low", "high")}
    names = ["run", *(["sweep"] if found.rows.get("sweep", pd.Series()).nunique() > 1 else []), "trial"]
    names += [name for name in found.metrics if name in {*results, *intervals}]
    names += [*varying, "parameters", "model_bytes", "duration", "status", "failure", "reason"]
    return [name for name in names if name in found.rows]


def _list(text: str, found: RunFrame) -> list[str]:
    return list(dict.fromkeys(_named(name, found) for name in text.split(",")))


def _named(name: str, found: RunFrame) -> str:
    """Return the column that a person means. Errors: InputError, naming the nearest."""
    # A param's last part may be a metric's name: learning_rate is the knob, not the last epoch's value.
    hidden = set(found.metrics) - OBJECTIVES.keys()
    short = {brief: full for full, brief in short_names(found.causes).items()}
    by_name = {one: one for one in found.rows}
    by_name |= {brief: full for brief, full in short.items() if brief not in by_name or brief in hidden}
    wanted = name.strip()
    if wanted in by_name:
        return by_name[wanted]
    hint = did_you_mean(wanted, by_name, f"there are {', '.join(found.rows)}")
    raise InputError(f"unknown column '{wanted}': {hint}")
