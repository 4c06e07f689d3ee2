"""Maps a card and its run to what two documents on AI ask for: no claim that they are fulfilled.

Annex IV of Regulation (EU) 2024/1689 (the AI Act) lists the technical documentation of high-risk systems; the
MEASURE function of the NIST AI Risk Management Framework 1.0 (NIST AI 100-1, 2023) what is to be measured.
The items are shortened here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

PERSON: Final = "for a person to write"

NONE: Final = "not applicable: the model alone is no product"


@dataclass(frozen=True)
class AskedItem:
    """An item of a document: its number, what it asks for, and where a card or its run answers that."""

    number: str
    asks: str
    parts: tuple[str, ...] = ()
    """Of the card, as far as they are filled."""
    files: tuple[str, ...] = ()
    """Of the run."""
    person: str = ""
    """What only a person can write; empty where nothing is left to write once the parts are filled."""
    is_applicable: bool = True

    def answer(self, absent: Collection[str]) -> str:
        """Return where it is answered; `absent` are parts of the card that say nothing."""
        if not self.is_applicable:
            return NONE
        found = [*(part for part in self.parts if part not in absent), *self.files]
        missing = [part for part in self.parts if part in absent]
        if self.person or not found:
            found.append(f"{self.person} {PERSON}".strip())
        elif missing:
            found.append(f"{', '.join(missing)}: nothing yet, {PERSON}")
        return "; ".join(found)


ANNEX_IV: Final = (
    AskedItem("1 (a)", "intended purpose, provider, version", ("Use", "Run"), person="the provider is"),
    AskedItem("1 (b)", "interaction with other hardware and software"),
    AskedItem("1 (c)", "versions of software", ("Run",), ("record/record.json", "record/uv.lock")),
    AskedItem("1 (d)", "forms in which it is placed on the market"),
    AskedItem("1 (e)", "hardware it is to run on"),
    AskedItem("1 (f)", "photographs of the product", is_applicable=False),
    AskedItem("1 (g)", "user interface"),
    AskedItem("1 (h)", "instructions for use"),
    AskedItem("2 (a)", "methods and steps of development, models trained before", ("Run", "Training")),
    AskedItem("2 (b)", "design choices, what is optimised for", ("Training",), person="the reasons are"),
    AskedItem(
        "2 (c)",
        "architecture, computing resources",
        ("Training", "Cost"),
        ("architecture.json", "model_summary.txt"),
    ),
    AskedItem("2 (d)", "data: provenance, selection, labelling, cleaning", ("Data", "Provenance")),
    AskedItem("2 (e)", "human oversight", ("Human oversight",)),
    AskedItem("2 (f)", "changes determined beforehand"),
    AskedItem(
        "2 (g)", "validation and testing: data, metrics, logs", ("Data", "Measurements"), ("evaluation.json",)
    ),
    AskedItem("2 (h)", "cybersecurity"),
    AskedItem(
        "3", "capabilities, limits, accuracy for groups, unintended outcomes", ("Measurements", "Limits")
    ),
    AskedItem("4", "why these metrics are appropriate"),
    AskedItem("5", "risk management system"),
    AskedItem("6", "changes through the lifecycle", ("Run",), person="what is planned is"),
    AskedItem("7", "harmonised standards applied"),
    AskedItem("8", "EU declaration of conformity"),
    AskedItem("9", "monitoring after it is placed on the market", ("Review",), person="the plan is"),
)

MEASURE: Final = (
    AskedItem(
        "1.1", "approaches and metrics for the largest risks are selected", ("Gates",), person="the choice is"
    ),
    AskedItem("1.2", "metrics and controls are assessed regularly", ("Review",)),
    AskedItem("1.3", "assessors who did not build it take part", ("Review",), person="who they are is"),
    AskedItem("2.1", "test sets, metrics and tools are documented", ("Data", "Measurements", "Run")),
    AskedItem("2.2", "evaluations with human subjects"),
    AskedItem(
        "2.3", "performance in conditions like those of use", ("Measurements",), person="the conditions are"
    ),
    AskedItem("2.4", "behaviour in production is monitored"),
    AskedItem("2.5", "valid and reliable; limits of generalizability", ("Measurements", "Limits")),
    AskedItem("2.6", "safety risks"),
    AskedItem("2.7", "security and resilience"),
    AskedItem("2.8", "transparency and accountability", ("Review", "Gates")),
    AskedItem("2.9", "the model is explained, validated and documented", ("Measurements", "Use")),
    AskedItem("2.10", "privacy", ("Measurements",), person="what goes beyond membership is"),
    AskedItem("2.11", "fairness and bias", ("Measurements",), person="which groups matter is"),
    AskedItem("2.12", "environmental impact", ("Cost",)),
    AskedItem("2.13", "effectiveness of these measurements"),
    AskedItem("3.1", "risks are tracked over time", ("Review",)),
    AskedItem("3.2", "risks that are hard to measure"),
    AskedItem("3.3", "feedback of users"),
    AskedItem("4.1", "measurements fit the context of use"),
    AskedItem("4.2", "results are confirmed by domain experts", ("Review",), person="who they are is"),
    AskedItem("4.3", "improvements and declines are measured"),
)


def rows_of(items: Sequence[AskedItem], absent: Collection[str]) -> list[tuple[str, str, str]]:
    """Return number, question and answer of each item; `absent` are parts of the card that say nothing."""
    return [(one.number, one.asks, one.answer(absent)) for one in items]
