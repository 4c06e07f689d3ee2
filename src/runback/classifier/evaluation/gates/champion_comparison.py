"""A run against the champion, on the same test images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from runback.classifier.evaluation.gates.answers_file import GROUP
from runback.classifier.evaluation.measure import LEAST_IMAGES
from runback.statistics.holm import holm
from runback.statistics.paired_answers import PairedAnswers, paired_answers

REAL = 0.05
"""The adjusted p-value below which a group counts as different."""


@dataclass(frozen=True)
class ChampionComparison:
    """How a run's answers stand to the champion's: the first one is the run."""

    overall: PairedAnswers
    groups: dict[str, tuple[PairedAnswers, float]]
    """By class, and by group of the run's metadata: the comparison, and its p-value, adjusted by Holm for
    all of these."""

    @property
    def worse(self) -> list[str]:
        """The groups that the run is worse for, beyond chance."""
        return [
            name
            for name, (found, p_value) in self.groups.items()
            if p_value < REAL and found.difference.mean < 0
        ]

    def lines(self) -> list[str]:
        """Return what a person reads."""
        verdict = "better on average, worse for " if self.overall.difference.mean > 0 else "worse for "
        lines = [f"against the champion on {self.overall.n:,} images: accuracy {_said(self.overall)}"]
        if self.worse:
            lines.append(verdict + ", ".join(self.worse))
        lines += [
            f"{name}: {_said(found)}, after Holm {p_value:.3g}"
            for name, (found, p_value) in self.groups.items()
        ]
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "overall": _facts(self.overall),
            "groups": {
                name: {**_facts(found), "p_value_holm": p_value}
                for name, (found, p_value) in self.groups.items()
            },
            "worse": self.worse,
        }


def compare_answers(run: pd.DataFrame, champion: pd.DataFrame) -> ChampionComparison | None:
    """Compare the answers of two runs, tables of `read_answers`; None where their images are not the same."""
    if len(run) != len(champion) or not run[["image", "label"]].equals(champion[["image", "label"]]):
        return None
    own, other = (np.asarray(one.label == one.answer) for one in (run, champion))
    groups = {
        name: paired_answers(own[rows], other[rows])
        for name, rows in _groups(run).items()
        if rows.sum() >= LEAST_IMAGES
    }
    adjusted = holm([found.p_value for found in groups.values()])
    return ChampionComparison(
        paired_answers(own, other),
        dict(zip(groups, zip(groups.values(), adjusted, strict=True), strict=True)),
    )


def _groups(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return which rows each class has, and each group of a grouping, as `grouping: group`."""
    found = {str(name): np.asarray(table.label == name) for name in table.label.unique()}
    for column in [name for name in table.columns if name.startswith(GROUP)]:
        grouping = column.removeprefix(GROUP)
        values = table[column]
        found |= {f"{grouping}: {value}": np.asarray(values == value) for value in values.unique()}
    return found


def _said(found: PairedAnswers) -> str:
    ends = f"{found.difference.low:+.4f} to {found.difference.high:+.4f}"
    return f"{found.difference.mean:+.4f} (95 %: {ends}), McNemar p {found.p_value:.3g}"


def _facts(found: PairedAnswers) -> dict[str, Any]:
    return {
        "n": found.n,
        "only_run_right": found.only_first,
        "only_champion_right": found.only_second,
        "difference": found.difference.mean,
        "low": found.difference.low,
        "high": found.difference.high,
        "p_value": found.p_value,
    }
