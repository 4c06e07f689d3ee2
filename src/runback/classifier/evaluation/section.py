"""A part of an evaluation: what it measured, and how a person sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from runback.classifier.evaluation.measure import Measure


@dataclass(frozen=True)
class SectionTable:
    """A table of a section; a cell is a text, a number or a measure."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, eq=False)
class SectionPicture:
    """A picture of a section, with a sentence that says what is seen."""

    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True, eq=False)
class Section:
    """What an evaluator found.

    `measures` are its numbers by name, which gates, MLflow and `compare` use; `details` are more of them for
    MLflow and `compare` alone, None where there are too few images; `facts` is whatever else the report in
    JSON holds of it; the rest is for the page.
    """

    name: str
    title: str
    question: str
    """What a person wants to know, in one sentence."""
    measures: Mapping[str, Measure]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    """Sentences for a person: what was not measured, and why; what a number means."""
    tables: Sequence[SectionTable] = ()
    pictures: Sequence[SectionPicture] = ()
    details: Mapping[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        measures = {name: measure.as_dict() for name, measure in self.measures.items()}
        return {**measures, **self.facts, "notes": [*self.notes]}
