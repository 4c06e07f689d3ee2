"""Gives the trials of a study the choices that a search has besides theirs.

Optuna stores a choice as its place in a list, and refuses another list for a param that it has already.
When a search is extended by choices, the lists and places of the trials so far are rewritten, in one
transaction.
"""

from collections.abc import Collection, Mapping

from optuna.distributions import CategoricalDistribution, distribution_to_json, json_to_distribution
from optuna.study import Study
from sqlalchemy import text

from runback.sweeping.space.search_identity import Search, choice_texts
from runback.sweeping.study.optuna_internals import database_of, forget_cached_trials, study_id

_LISTS = text(
    "SELECT DISTINCT p.param_name, p.distribution_json FROM trial_params p "
    "JOIN trials t ON t.trial_id = p.trial_id WHERE t.study_id = :study"
)

_REWRITE = (
    "UPDATE trial_params SET distribution_json = :new, param_value = CASE {cases} END "
    "WHERE param_name = :name AND distribution_json = :old "
    "AND trial_id IN (SELECT trial_id FROM trials WHERE study_id = :study)"
)


def extend_choices(study: Study, labels: Mapping[str, Collection[str]], search: Search) -> None:
    """Rewrite the choices of the study's trials as places in the lists of a search, which hold them all.

    `labels` are, by parameter, those of the search that the trials were proposed in.
    """
    key = study_id(study)
    with database_of(study).begin() as connection:
        for name, old in connection.execute(_LISTS, {"study": key}).all():
            new = search.space.get(name)
            if not isinstance(new, CategoricalDistribution) or distribution_to_json(new) == old:
                continue
            known = search.choices(name)
            places = map(known.index, choice_texts(json_to_distribution(old), labels.get(name, ())))
            cases = " ".join(f"WHEN {before} THEN {after}" for before, after in enumerate(places))
            values = {"new": distribution_to_json(new), "old": old, "name": name, "study": key}
            connection.execute(text(_REWRITE.format(cases=f"CAST(param_value AS INTEGER) {cases}")), values)
    forget_cached_trials(study)
