import io
import re

import pytest
from optuna.trial import TrialState

from runback.sweeping.deciding.proposer import proposed_trial
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import create_entry, open_study
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import (
    PartEnded,
    TrainedAgain,
    TrialEnded,
    TrialReported,
    TrialStarted,
)
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


def paused_trial(study, dropout, curve, *, at):
    trial = proposed_trial(len(study.trials), {"model.dense_dropout": dropout}, SPACE.distributions)
    trial.intermediate_values = dict(enumerate(curve, 1))
    trial.user_attrs = {"paused_at": at, "parts": [[0, 0]], "run_id": f"run{dropout}"}
    entry = create_entry(study, trial)
    entry.wait()
    return study.get_trials(deepcopy=False)[trial.number]


def test_paused_trials_are_rows_the_furthest_first(study, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("runback.sweeping.watching.live_table.REDRAW_SECONDS", 0)
    stream = _Terminal()
    table = LiveTable(study, Budget(9, None, 2), SPACE, stream)
    study.tell(study.ask(SPACE.distributions), 0.9)
    with table.live():
        paused_trial(study, 0.1, [0.2], at=1)
        paused_trial(study, 0.2, [0.3], at=1)
        far = paused_trial(study, 0.3, [0.1, 0.1, 0.15], at=3)
        table.observe(TrialStarted(study.trials[0]))
        table.observe(PartEnded(far))
    shown = plain(stream.getvalue()).splitlines()
    rows = [line.split() for line in shown if line.strip()]
    assert [row[:4] for row in rows if row[1:2] == ["paused"]][-3:] == [
        ["3", "paused", "3", "0.1500"],
        ["2", "paused", "1", "0.3000"],
        ["1", "paused", "1", "0.2000"],
    ]
    assert any("3 paused" in line for line in shown)
    assert not any("left" in line for line in shown)  # nobody knows how far they come


def test_without_a_terminal_a_pause_and_a_step_trained_again_are_lines(study):
    stream = io.StringIO()
    trial = paused_trial(study, 0.25, [0.1, 0.2, 0.5], at=3)
    table = LiveTable(study, Budget(3, None, 1), SPACE, stream)
    table.observe(PartEnded(trial))
    table.observe(TrialStarted(trial))
    table.observe(TrainedAgain(trial, 1, 3))
    assert stream.getvalue().splitlines() == [
        "trial   0  paused  0.5000 after step 3  dense_dropout=0.25",
        "trial   0  trains again from step 1: no checkpoint of step 3 can be used",
    ]


def test_a_trial_that_goes_on_is_shown_where_it_is(study, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    trial = paused_trial(study, 0.25, [0.1, 0.2, 0.5], at=3)
    table = LiveTable(study, Budget(3, None, 1), SPACE, stream)
    monkeypatch.setattr("runback.sweeping.watching.live_table.REDRAW_SECONDS", 0)
    with table.live():
        table.observe(TrialStarted(trial))
    row = next(line.split() for line in plain(stream.getvalue()).splitlines() if "running 0 s" in line)
    assert row[4:6] == ["3", "0.5000"]


def test_the_summary_has_the_paused_trials_and_the_config_as_it_is(study):
    study.tell(study.ask(SPACE.distributions), 0.9)
    paused_trial(study, 0.25, [0.1], at=1)
    stream = io.StringIO()
    own = {"model.dense_dropout": 0.25}
    LiveTable(study, Budget(4, None, 1), SPACE, stream, config_point=own).print_summary()
    assert stream.getvalue().splitlines()[3:] == [
        "paused trials, with which the same command goes on:",
        "  0.1000 after step 1  trial   1  run run0.25  dense_dropout=0.25",
        "the config as it is: no value, trial 1 is paused at 0.1000 after step 1; best: 0.9000 (trial 0)",
    ]


def test_the_table_draws_on_a_narrow_terminal(study, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = _Terminal()
    table = LiveTable(study, Budget(4, None, 2), SPACE, stream)
    with table.live():
        trial = proposed_trial(0, {"model.dense_dropout": 0.123456789}, SPACE.distributions)
        table.observe(TrialStarted(trial))
    assert "running" in plain(stream.getvalue())
