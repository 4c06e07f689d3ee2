"""Writes the card of a run beside its evaluation, from what the run has stored."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from omegaconf import OmegaConf

from runback.classifier.evaluation.card.card_statements import read_statements
from runback.classifier.evaluation.card.model_card import CardFacts, html_card, markdown_card
from runback.runs.schema import CARD, CARD_PAGE, CONFIG, EVALUATION, GATES, RECORD, REVIEWS, read_record
from runback.tracking import registry
from runback.tracking.layout import Layout
from runback.tracking.read.find_runs import artifact_files, find_run, read_bytes, read_text
from runback.tracking.store import Store
from runback.tracking.write.run_writer import RunWriter

STATEMENTS = "conf/card.yaml"

LINKS = "**Evaluation**: "
"""The beginning of the line of a run's note that leads to its card."""


def write_card(store: Store, layout: Layout, run_id: str) -> bool:
    """Write a run's card, and a link to it in its note and at its registered versions.

    Tells whether there is an evaluation to write of.

    Errors: InputError for a project's statements that are wrong, StoreError.
    """
    files = artifact_files(store, run_id)
    if EVALUATION not in files:
        return False
    statements = read_statements(layout.root / STATEMENTS)
    run = find_run(store, run_id)

    def stored(name: str) -> Any:
        return json.loads(read_text(store, run_id, name)) if name in files else None

    config = OmegaConf.to_container(OmegaConf.create(read_text(store, run_id, CONFIG)))
    facts = CardFacts(
        run_id=run_id,
        tags=run.data.tags,
        record=read_record(read_bytes(store, run_id, RECORD), RECORD) if RECORD in files else {},
        config={str(key): value for key, value in config.items()} if isinstance(config, Mapping) else {},
        evaluation=stored(EVALUATION),
        gates=stored(GATES),
        reviews=stored(REVIEWS) or (),
    )
    writer = RunWriter(store, run_id)
    writer.log_text(markdown_card(facts, statements), CARD)
    writer.log_text(html_card(facts, statements), CARD_PAGE)
    writer.describe(_linked(run.data.tags.get("mlflow.note.content", ""), run))
    writer.deliver()
    registry.describe_versions(store, run.info.run_id, partial(_linked, run=run))
    return True


def _linked(note: str, run: Any) -> str:
    place = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/"
    line = f"{LINKS}[page]({place}evaluation.html), [model card]({place}model_card.html)"
    lines = [one for one in note.split("\n\n") if not one.startswith(LINKS)]
    return "\n\n".join([*filter(None, lines), line])
