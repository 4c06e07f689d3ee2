"""Writes the card of a run beside its evaluation, from what the run has stored."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from omegaconf import OmegaConf

from runback.classifier.evaluation.card.card_statements import CardStatements, read_statements
from runback.classifier.evaluation.card.model_card import (
    CardApproval,
    CardFacts,
    CardReview,
    html_card,
    markdown_card,
)
from runback.cli.approval.approval_record import ApprovalRecord, read_approval
from runback.cli.approval.evaluation_report import read_evaluation
from runback.errors import InputError
from runback.runs.schema import CARD, CARD_PAGE, CONFIG, EVALUATION_PAGE, RECORD, read_record
from runback.tracking import registry
from runback.tracking.layout import Layout
from runback.tracking.read.find_runs import artifact_files, find_run, read_bytes, read_text
from runback.tracking.store import Store
from runback.tracking.tags import DIRTY_TAG
from runback.tracking.write.run_writer import RunWriter

STATEMENTS = "conf/card.yaml"

LINKS = "**Evaluation**: "
"""The beginning of the line, of a run's note, that leads to its card."""


def statements_of(layout: Layout) -> CardStatements:
    """Return what a project states of its models. Errors: InputError for statements that are wrong."""
    return read_statements(layout.root / STATEMENTS)


def write_card(store: Store, run_id: str, statements: CardStatements) -> str | None:
    """Write a run's card, and a link to it in its note and at its registered versions.

    Returns why there is no card; None where there is one. Errors: StoreError.
    """
    try:
        facts = _facts(store, run_id)
        card, page = markdown_card(facts, statements), html_card(facts, statements)
    except InputError as error:
        return f"no model card: {error}"
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:  # files of the store, changed by somebody
        return f"no model card: the run's record or its evaluation is damaged: {error!r:.200}"
    run = find_run(store, run_id)
    writer = RunWriter(store, run_id)
    writer.log_text(card, CARD)
    writer.log_text(page, CARD_PAGE)
    writer.describe(_linked(run.data.tags.get("mlflow.note.content", ""), run))
    writer.deliver()
    registry.describe_versions(store, run_id, partial(_linked, run=run))
    return None


def _facts(store: Store, run_id: str) -> CardFacts:
    """Return what a card is made of. Errors: InputError where a part is missing or damaged, StoreError."""
    run = find_run(store, run_id)
    files = artifact_files(store, run_id)
    evaluation = read_evaluation(store, run_id)
    config = OmegaConf.to_container(OmegaConf.create(read_text(store, run_id, CONFIG)))
    return CardFacts(
        run_id=run_id,
        has_changed_code=run.data.tags.get(DIRTY_TAG),
        record=read_record(read_bytes(store, run_id, RECORD), RECORD) if RECORD in files else {},
        config={str(key): value for key, value in config.items()} if isinstance(config, Mapping) else {},
        evaluation=evaluation,
        approval=_approval(read_approval(store, run_id)),
    )


def _approval(record: ApprovalRecord) -> CardApproval:
    return CardApproval(
        gates=[
            (
                check.verdict if record.is_current(check) else f"{check.gates}: of an earlier evaluation",
                check.owner,
                check.review_by.isoformat(),
                [(one.condition, one.value, one.passed) for one in check.results],
            )
            for check in record.checks
        ],
        reviews=[
            CardReview(
                one.by,
                one.when,
                one.note,
                "" if one.next is None else one.next.isoformat(),
                record.is_current(one),
            )
            for one in record.reviews
        ],
        waivers=[
            f"{one.by} promoted it on {one.when}, although {'; '.join(one.although)}. Reason: {one.reason}"
            for one in record.waivers
        ],
    )


def _linked(note: str, run: Any) -> str:
    place = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/"
    line = f"{LINKS}[page]({place}{EVALUATION_PAGE}), [model card]({place}{CARD_PAGE})"
    paragraphs = [one for one in note.split("\n\n") if one and not one.startswith(LINKS)]
    return "\n\n".join([*paragraphs[:1], line, *paragraphs[1:]])  # first, where a long note is not cut
