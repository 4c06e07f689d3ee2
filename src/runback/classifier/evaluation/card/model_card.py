"""A model's card, out of what its run has recorded and what the project states: no number is typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from runback.classifier.evaluation.card.card_blocks import (
    Block,
    CardTable,
    Heading,
    Items,
    Paragraph,
    as_html,
    as_markdown,
)
from runback.classifier.evaluation.card.card_statements import NOT_STATED, CardStatements
from runback.classifier.evaluation.card.regulation_map import ANNEX_IV, MEASURE, rows_of


@dataclass(frozen=True)
class CardReview:
    """A person has looked: who, when, what they noted, when they look again, and at which evaluation."""

    by: str
    when: str
    note: str
    again: str
    is_current: bool


@dataclass(frozen=True)
class CardApproval:
    """The gates that were checked, the reviews, and the waivers as sentences."""

    gates: Sequence[tuple[str, str, str, Sequence[tuple[str, float | None, bool]]]] = ()
    """Of each its verdict, its owner, its date, and its conditions with values and whether they hold."""
    reviews: Sequence[CardReview] = ()
    waivers: Sequence[str] = ()


@dataclass(frozen=True)
class CardFacts:
    """The facts that a run has recorded, as they are stored."""

    run_id: str
    has_changed_code: str | None
    """Whether the code was changed since its commit: `true` or `false`; None where nobody knows."""
    record: Mapping[str, Any]
    config: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    approval: CardApproval = CardApproval()


def card_title(facts: CardFacts, statements: CardStatements) -> str:
    """Return the model's name: the project's, or the run's."""
    return statements.name or f"Image classifier of run {facts.run_id[:12]}"


def markdown_card(facts: CardFacts, statements: CardStatements) -> str:
    """Return the card in Markdown, with Hugging Face's front matter."""
    front = yaml.safe_dump(_front_matter(facts, statements), sort_keys=False, allow_unicode=False)
    return f"---\n{front}---\n\n{as_markdown(card_title(facts, statements), _blocks(facts, statements))}"


def html_card(facts: CardFacts, statements: CardStatements) -> str:
    """Return the card as a page."""
    return as_html(card_title(facts, statements), _blocks(facts, statements))


def _front_matter(facts: CardFacts, statements: CardStatements) -> dict[str, Any]:
    """Return the metadata that Hugging Face's hub reads (huggingface.co/docs/hub/model-cards)."""
    quality = facts.evaluation["quality"]
    dataset = str(facts.record.get("choices", {}).get("data") or "images")
    results = [
        {"type": kind, "value": quality[key]["value"], "name": key.replace("_", " ")}
        for kind, key in (("accuracy", "accuracy"), ("f1", "macro_f1"))
    ]
    front: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "keras", "runback"],
        "datasets": [dataset],
        "metrics": ["accuracy", "f1"],
        "model-index": [
            {
                "name": card_title(facts, statements),
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {"name": dataset, "type": dataset, "split": "test"},
                        "metrics": results,
                    }
                ],
            }
        ],
    }
    return {"license": statements.license, **front} if statements.license else front


def _blocks(facts: CardFacts, statements: CardStatements) -> list[Block]:
    return [
        *_use(statements),
        *_run(facts),
        *_data(facts, statements),
        *_measurements(facts),
        *_approval(facts.approval),
        *_cost(facts),
        *_appendix(facts, statements),
    ]


def _use(statements: CardStatements) -> list[Block]:
    return [
        Heading("Use"),
        Heading("Intended", 3),
        Items(statements.intended_use or [NOT_STATED]),
        Heading("Out of scope", 3),
        Items(statements.out_of_scope or [NOT_STATED]),
        Heading("Limits", 3),
        Items(statements.limitations or [NOT_STATED]),
        CardTable(
            ("", ""),
            [
                ("Licence", statements.license or NOT_STATED),
                ("Contact", statements.contact or NOT_STATED),
                ("Human oversight", statements.oversight or NOT_STATED),
            ],
        ),
    ]


def _run(facts: CardFacts) -> list[Block]:
    record, code = facts.record, facts.record.get("code", {})
    packages = record.get("packages", {})
    rows = [
        ("Run", facts.run_id),
        ("Commit", str(code.get("commit") or NOT_STATED)),
        ("Changed besides the commit", facts.has_changed_code or NOT_STATED),
        ("Python", str(record.get("python", {}).get("version", NOT_STATED))),
        *(
            (name, str(packages[name]))
            for name in ("tensorflow", "keras", "numpy", "runback")
            if name in packages
        ),
        ("Seed", str(record.get("seeds", {}).get("seed", NOT_STATED))),
    ]
    training = facts.config.get("training", {})
    choices = record.get("choices", {})
    return [
        Heading("Run"),
        Paragraph(
            f"Trained again, and compared with what was recorded, by: runback reproduce {facts.run_id}"
        ),
        CardTable(("", ""), rows),
        Heading("Training"),
        CardTable(
            ("setting", "value"),
            [
                *((name, str(value)) for name, value in choices.items() if "/" not in name),
                *(
                    (f"training.{name}", str(value))
                    for name, value in training.items()
                    if not isinstance(value, dict)
                ),
            ],
        ),
    ]


def _data(facts: CardFacts, statements: CardStatements) -> list[Block]:
    splits = facts.record.get("data", {})
    rows = [
        (name, f"{split['shape'][0]:,}", " x ".join(map(str, split["shape"][1:])), str(split["sha256"])[:16])
        for name, split in splits.items()
        if split.get("shape")
    ]
    rows.append(("test", f"{facts.evaluation['n']:,}", "", str(facts.evaluation["images_sha256"])[:16]))
    notes = facts.record.get("data_summary", {}).get("notes", [])
    return [
        Heading("Data"),
        Paragraph(statements.data or f"Where the images come from, and who labelled them: {NOT_STATED}."),
        CardTable(("split", "images", "height x width x channels", "SHA-256"), rows),
        *([Items([str(note) for note in notes])] if notes else []),
    ]


def _measurements(facts: CardFacts) -> list[Block]:
    blocks: list[Block] = [
        Heading("Measurements"),
        Paragraph(
            f"On the test split; times that it was opened: {facts.evaluation['opened']}. Pictures and tables "
            "are in evaluation.html, all numbers in evaluation.json."
        ),
    ]
    for name, section in facts.evaluation.items():
        if not isinstance(section, Mapping) or name == "cost":
            continue
        rows = [
            (key.replace("_", " "), f"{one['value']:.4f}", _ends(one), f"{one['n']:,}")
            for key, one in section.items()
            if isinstance(one, Mapping) and one.keys() >= {"value", "low", "high", "n"}
        ]
        if rows:
            blocks += [
                Heading(name.capitalize(), 3),
                CardTable(("", "value", "95 % interval", "images"), rows),
            ]
        notes = section.get("notes") or []
        if notes:
            blocks.append(Items([str(note) for note in notes]))
    return blocks


def _ends(measure: Mapping[str, Any]) -> str:
    if measure["low"] is None or measure["high"] is None:
        return ""
    return f"{measure['low']:.4f} to {measure['high']:.4f}"


def _approval(approval: CardApproval) -> list[Block]:
    blocks: list[Block] = [Heading("Gates")]
    for verdict, owner, date, results in approval.gates:
        rows = [
            (condition, "not measured" if value is None else f"{value:.4g}", "passed" if passed else "failed")
            for condition, value, passed in results
        ]
        blocks += [
            Heading(verdict, 3),
            Paragraph(f"Owner: {owner}. To be reviewed by {date}."),
            CardTable(("condition", "is", ""), rows),
        ]
    if not approval.gates:
        blocks.append(Paragraph("No gates were checked."))
    if approval.waivers:
        blocks += [Heading("Waivers", 3), Items([*approval.waivers])]
    reviews = [
        (one.when, one.by, one.note, one.again, "" if one.is_current else "an earlier one")
        for one in approval.reviews
    ]
    head = ("when", "who", "note", "again by", "evaluation")
    return [
        *blocks,
        Heading("Review"),
        CardTable(head, reviews) if reviews else Paragraph("Nobody has reviewed it."),
    ]


def _cost(facts: CardFacts) -> list[Block]:
    cost = facts.evaluation.get("cost", {})
    rows = [
        (name.replace("_", " "), f"{value:,.0f}")
        for name, value in cost.items()
        if isinstance(value, int | float)
    ]
    table = [CardTable(("", "recorded"), rows)] if rows else []
    return [Heading("Cost"), *table, Items([str(note) for note in cost.get("notes", [])] or [NOT_STATED])]


def _appendix(facts: CardFacts, statements: CardStatements) -> list[Block]:
    absent = {
        name
        for name, is_there in {
            "Use": bool(statements.intended_use),
            "Human oversight": statements.oversight is not None,
            "Limits": bool(statements.limitations),
            "Provenance": statements.data is not None,
            "Gates": bool(facts.approval.gates),
            "Review": bool(facts.approval.reviews),
            "Cost": any(
                isinstance(value, int | float) for value in facts.evaluation.get("cost", {}).values()
            ),
        }.items()
        if not is_there
    }
    return [
        Heading("Appendix"),
        Paragraph(
            "Where this card and its run answer what is asked for elsewhere. It is a map, and "
            "claims no compliance."
        ),
        Heading("Regulation (EU) 2024/1689, Annex IV", 3),
        CardTable(("item", "asks for", "here"), rows_of(ANNEX_IV, absent)),
        Heading("NIST AI RMF 1.0, MEASURE", 3),
        CardTable(("item", "asks for", "here"), rows_of(MEASURE, absent)),
    ]
