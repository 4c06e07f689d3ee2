import io
import re

import pytest
from optuna.trial import TrialState

from runback.sweeping.deciding.proposer import proposed_trial
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import open_study
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import TrialEnded, TrialReported, TrialStarted
from runback.sweeping.watching.live_table import LiveTable

SPACE = parse({"model.dense_dropout": "interval(0, 1)"}, [], None)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def study(tmp_path):
    return open_study(tmp_path, "s", Search.of(SPACE, ["maximize"], {}))


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_without_a_terminal_each_ended_trial_is_a_line(study):
    stream = io.StringIO()
    table = LiveTable(study, Budget(3, None, 1), SPACE, stream)
    outcomes = [messages.Completed((0.75,)), messages.Pruned(), messages.Failed("lost", "it was killed")]
    with table.live():
        for number, outcome in enumerate(outcomes):
            trial = proposed_trial(number, {"model.dense_dropout": 0.25}, SPACE.distributions)
            table.observe(TrialStarted(trial))
            table.observe(TrialReported(trial, 2, 0.5))
            table.observe(TrialEnded(trial, outcome))
    assert stream.getvalue().splitlines() == [
        "trial   0  done    0.7500  dense_dropout=0.25",
        "trial   1  pruned after step 2  dense_dropout=0.25",
        "trial   2  failed  lost: it was killed  dense_dropout=0.25",
    ]


def test_the_same_failure_by_its_params_is_told_once(study, monkeypatch):
    impossible, killed = messages.Failed("input", "no such network"), messages.Failed("lost", "it was killed")
    lines = []
    for stream in (io.StringIO(), _Terminal()):
        table = LiveTable(study, Budget(6, None, 1), SPACE, stream)
        with table.live():
            for number, outcome in enumerate([impossible, killed, impossible, killed, impossible]):
                trial = proposed_trial(number, {"model.dense_dropout": 0.5}, SPACE.distributions)
                table.observe(TrialStarted(trial))
                table.observe(TrialEnded(trial, outcome))
        lines.append(plain(stream.getvalue()))
    assert lines[0].splitlines() == [
        "trial   0  failed  input: no such network  dense_dropout=0.5",
        "trial   1  failed  lost: it was killed  dense_dropout=0.5",
        "trial   2  failed  as trial 0  dense_dropout=0.5",
        "trial   3  failed  lost: it was killed  dense_dropout=0.5",
        "trial   4  failed  as trial 0  dense_dropout=0.5",
    ]
    assert (lines[1].count("no such network"), lines[1].count("it was killed")) == (1, 2)


def test_on_a_terminal_the_table_shows_running_trials_and_the_best_so_far(study, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("runback.sweeping.watching.live_table.REDRAW_SECONDS", 0)
    stream = _Terminal()
    table = LiveTable(study, Budget(4, None, 2), SPACE, stream)
    with table.live():
        done = study.ask(SPACE.distributions)
        table.observe(TrialStarted(study.trials[0]))
        study.tell(done, 0.9)
        table.observe(TrialEnded(study.trials[0], messages.Completed((0.9,))))
        study.ask(SPACE.distributions)
        table.observe(TrialStarted(study.trials[1]))
        table.observe(TrialReported(study.trials[1], 3, 0.4))
    shown = plain(stream.getvalue())
    assert "running 0 s" in shown
    assert "0.4000" in shown
    assert "1 running · 1 done · 0 pruned · 0 failed · highest so far 0.9000 (trial 0)" in shown
    assert "left" in shown


def test_the_summary_lists_the_best_trials_with_their_runs(study):
    for value in (0.1, 0.9, 0.5):
        trial = study.ask(SPACE.distributions)
        trial.set_user_attr("run_id", f"run{value}")
        study.tell(trial, value)
    study.tell(study.ask(SPACE.distributions), state=TrialState.PRUNED)
    stream = io.StringIO()
    LiveTable(study, Budget(4, None, 1), SPACE, stream).print_summary()
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("3 done · 1 pruned · 0 failed · highest so far 0.9000 (trial 1)")
    assert [line.split()[0] for line in lines[2:]] == ["0.9000", "0.5000", "0.1000"]
    assert "run run0.9" in lines[2]


def test_the_table_draws_on_a_narrow_terminal(study, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = _Terminal()
    table = LiveTable(study, Budget(4, None, 2), SPACE, stream)
    with table.live():
        trial = proposed_trial(0, {"model.dense_dropout": 0.123456789}, SPACE.distributions)
        table.observe(TrialStarted(trial))
    assert "running" in plain(stream.getvalue())
