import sqlite3
from contextlib import closing

import pytest
from optuna.trial import create_trial

from runback.errors import InputError, StoreError
from runback.sweeping.space.search_identity import Search, differences
from runback.sweeping.space.search_space import parse
from runback.sweeping.study import study_store
from runback.sweeping.study.stored_choices import extend_choices
from runback.sweeping.study.study_store import STUDY, close_study, keep_search, open_study, read_study

SPACE = {"x": "interval(0.0, 1.0)", "n": "range(2, 9, 2)", "kind": "choice(a, b)"}


def search(space=SPACE, arguments=(), directions=("maximize",), base=None):
    return Search.of(parse(space, list(arguments), None), directions, base or {"epochs": "3"})


def other(**axes):
    return search({**SPACE, **axes})


def test_a_search_is_the_same_after_it_was_kept(tmp_path):
    open_study(tmp_path, "s", search())
    open_study(tmp_path, "s", search())
    assert differences(Search.from_json(search().as_json()), search()) == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (other(x="interval(0.0, 2.0)"), "x 0.0 to 1.0, now 0.0 to 2.0"),
        (other(x="tag(log, interval(0.1, 1.0))"), "x 0.0 to 1.0, now 0.1 to 1.0, log"),
        (other(kind="choice(a, b, c)"), "kind a/b, now a/b/c"),
        (other(y="choice(1, 2)"), "y not there, now 1/2"),
        (search({"x": SPACE["x"], "n": SPACE["n"]}), "kind a/b, now not there"),
        (search(arguments=["seed=2"]), "seed not there, now 2"),
        (search(directions=("minimize",)), "direction maximize, now minimize"),
        (search(base={"epochs": "4"}), "epochs 3, now 4"),
    ],
)
def test_a_study_is_not_continued_with_another_search_and_says_what_differs(tmp_path, asked, message):
    open_study(tmp_path, "s", search())
    with pytest.raises(InputError, match=f"sweep s was begun with another config: {message}.*--new"):
        open_study(tmp_path, "s", asked)


def test_many_differences_are_counted(tmp_path):
    open_study(tmp_path, "s", search(base={f"key{n}": "1" for n in range(9)}))
    with pytest.raises(InputError, match="key3 1, now 2 and 5 more; to start"):
        open_study(tmp_path, "s", search(base={f"key{n}": "2" for n in range(9)}))


@pytest.mark.parametrize(
    "wider", [other(x="interval(-1.0, 1.0)"), other(n="range(0, 20, 2)"), other(kind="choice(c, b, a)")]
)
def test_wider_ranges_are_accepted_on_request_and_kept(tmp_path, wider):
    open_study(tmp_path, "s", search())
    with pytest.raises(InputError, match="--extend"):
        open_study(tmp_path, "s", wider)
    keep_search(open_study(tmp_path, "s", wider, extend=True), wider)
    open_study(tmp_path, "s", wider)
    with pytest.raises(InputError, match="another config"):
        open_study(tmp_path, "s", search(), extend=True)  # it would be narrower again


@pytest.mark.parametrize(
    "asked",
    [
        other(x="interval(0.5, 1.5)"),
        other(x="tag(log, interval(0.1, 2.0))"),
        other(n="range(1, 20, 2)"),
        other(n="range(0, 20, 4)"),
        other(n="interval(0.0, 20.0)"),
        other(kind="choice(a, c)"),
        other(kind="choice(b)"),
        other(y="choice(1, 2)"),
        search(base={"epochs": "4"}),
    ],
)
def test_nothing_else_counts_as_wider(tmp_path, asked):
    open_study(tmp_path, "s", search())
    with pytest.raises(InputError, match="another config"):
        open_study(tmp_path, "s", asked, extend=True)


def test_a_study_with_a_view_in_the_place_of_a_table_is_refused(tmp_path):
    close_study(open_study(tmp_path, "s", search()))
    with closing(sqlite3.connect(tmp_path / STUDY)) as connection, connection:
        connection.execute("ALTER TABLE studies RENAME TO other")
        connection.execute("CREATE VIEW studies AS SELECT * FROM other")
    for use in (lambda: read_study(tmp_path, "s"), lambda: open_study(tmp_path, "s", search())):
        with pytest.raises(StoreError, match=r"study\.db holds the view 'studies'; expected plain tables"):
            use()


def test_a_choice_of_another_type_is_another_choice(tmp_path):
    open_study(tmp_path, "s", other(kind="choice(1, 2)"))
    for kind, now in (("choice(true, 2)", "1/2, now True/2"), ("choice('1', 2)", "1/2, now '1'/2")):
        with pytest.raises(InputError, match=f"kind {now}"):
            open_study(tmp_path, "s", other(kind=kind), extend=True)


def test_what_cannot_be_extended_is_told_what_can(tmp_path):
    open_study(tmp_path, "s", search())
    with pytest.raises(
        InputError, match=r"kind a/b, now a/c; --extend takes wider ranges and more choices only"
    ):
        open_study(tmp_path, "s", other(kind="choice(a, c)"), extend=True)


def test_trials_keep_their_choices_when_more_are_added_in_another_order(tmp_path):
    few, more = other(kind="choice(a, b)"), other(kind="choice(c, b, 1, a)")
    study = open_study(tmp_path, "s", few)
    for kind in "abba":
        study.add_trial(
            create_trial(value=1.0, params={"x": 0.5, "n": 4, "kind": kind}, distributions=dict(few.space))
        )
    close_study(study)
    study = open_study(tmp_path, "s", more, extend=True)
    keep_search(study, more)
    study.add_trial(
        create_trial(value=1.0, params={"x": 0.5, "n": 4, "kind": 1}, distributions=dict(more.space))
    )
    assert [trial.params["kind"] for trial in read_study(tmp_path, "s").trials] == ["a", "b", "b", "a", 1]
    assert {trial.distributions["kind"] for trial in study.trials} == {more.space["kind"]}


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("choice(1, 2)", "choice(1, 2, true)", ["kind=1", "kind=2"]),
        ("choice(0.1, 1)", "choice(1.0, 0.1, 1)", ["kind=0.1", "kind=1"]),
        ("choice(1, true)", "choice('1', 'true', 2, true, 1)", ["kind=1", "kind=true"]),
        ("choice('1', 'true')", "choice(1, true, 'true', '1')", ["kind='1'", "kind='true'"]),
        ("choice([1], a)", "choice('[1]', a, [1])", ["kind=[1]", "kind=a"]),
    ],
)
def test_choices_that_python_takes_for_equal_can_be_added(tmp_path, before, after, kept):
    few, more = other(kind=before), other(kind=after)
    study = open_study(tmp_path, "s", few)
    keep_search(study, few)
    for kind in few.space["kind"].choices:
        study.add_trial(
            create_trial(value=1.0, params={"x": 0.5, "n": 4, "kind": kind}, distributions=dict(few.space))
        )
    close_study(study)
    study = open_study(tmp_path, "s", more, extend=True)
    keep_search(study, more)
    close_study(study)
    study = open_study(tmp_path, "s", more)
    keep_search(study, more)
    parameter = next(p for p in parse({**SPACE, "kind": after}, [], None).parameters if p.name == "kind")
    assert [parameter.override(trial.params["kind"]) for trial in study.trials] == kept


def test_a_kill_in_the_middle_of_an_extension_loses_no_choice(tmp_path, monkeypatch):
    few, more = other(kind="choice(1, true)"), other(kind="choice('1', 1, true)")
    study = open_study(tmp_path, "s", few)
    study.add_trial(
        create_trial(value=1.0, params={"x": 0.5, "n": 4, "kind": "true"}, distributions=dict(few.space))
    )
    with monkeypatch.context() as killed:
        killed.setattr(study_store, "extend_choices", Interrupts(1))
        with pytest.raises(KeyboardInterrupt):
            keep_search(study, more)
    close_study(study)
    study = open_study(tmp_path, "s", more)
    keep_search(study, more)
    assert study.trials[0].params["kind"] == "true"
    assert study.trials[0].distributions["kind"] == more.space["kind"]


class Interrupts:
    """Calls `extend_choices` so many times, and is interrupted then."""

    def __init__(self, times):
        self.left = times

    def __call__(self, *arguments):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        extend_choices(*arguments)


def test_texts_that_look_like_other_choices_are_another_search(tmp_path):
    open_study(tmp_path, "s", other(kind="choice(1, true)"))
    with pytest.raises(InputError, match="kind 1/true, now '1'/'true'"):
        open_study(tmp_path, "s", other(kind="choice('1', 'true')"), extend=True)
