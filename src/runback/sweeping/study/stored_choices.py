"""Gives the trials of a study the choices that a search has besides theirs.

Optuna stores a choice as its place in a list, and refuses another list for a param that it has already.
When a search is extended by choices, the lists and places of the trials so far are rewritten, in one
transaction.
"""

import json
from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.study import Study
from sqlalchemy import text

from runback.sweeping.study.optuna_internals import database_of, study_id

_LISTS = text(
    "SELECT DISTINCT p.param_name, p.distribution_json FROM trial_params p "
    "JOIN trials t ON t.trial_id = p.trial_id WHERE t.study_id = :study"
)

_REWRITE = (
    "UPDATE trial_params SET distribution_json = :new, param_value = CASE {cases} END "
    "WHERE param_name = :name AND distribution_json = :old "
    "AND trial_id IN (SELECT trial_id FROM trials WHERE study_id = :study)"
)


def extend_choices(study: Study, space: Mapping[str, BaseDistribution]) -> None:
    """Rewrite the choices of the study's trials as places in the lists of `space`, which hold them all."""
    key = study_id(study)
    with database_of(study).begin() as connection:
        for name, old in connection.execute(_LISTS, {"study": key}).all():
            new = space.get(name)
            if not isinstance(new, CategoricalDistribution) or distribution_to_json(new) == old:
                continue
            places = _places(json_to_distribution(old), new)
            cases = " ".join(f"WHEN {before} THEN {after}" for before, after in enumerate(places))
            values = {"new": distribution_to_json(new), "old": old, "name": name, "study": key}
            connection.execute(text(_REWRITE.format(cases=f"CAST(param_value AS INTEGER) {cases}")), values)


def _places(old: BaseDistribution, new: CategoricalDistribution) -> list[int]:
    """Return where the new list has each choice of the old one.

    Choices of different types are different ones, also 1 and true.
    """
    known = [json.dumps(choice) for choice in new.choices]
    return [known.index(json.dumps(choice)) for choice in getattr(old, "choices", ())]
