import re

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from runback.sweeping.reporting.sweep_note import RunLinks, note
from runback.sweeping.study.budget import Budget

PLACE = RunLinks("7", "f" * 32)
COMMANDS = [("go on", "runback sweep digits"), ("", "runback compare --sweep digits")]


def written(study, budget=None, elapsed=60.0, commands=COMMANDS):
    budget = budget or Budget(20, None, 2)
    return note(study, PLACE, budget, elapsed=elapsed, commands=commands, artifacts=["report.html"])


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [[cell.replace("&ensp;", "").strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_the_best_trials_stand_in_a_table_with_links_to_their_runs(make_study):
    study = make_study(12)
    text = written(study)
    head, *trials = rows(text)
    assert head[:2] == ["trial", r"val\_accuracy ↑"]
    assert head[-1] == "time"
    best = study.best_trial
    assert trials[0][0] == f"[{best.number}](#/experiments/7/runs/{best.user_attrs['run_id']})"
    values = [float(row[1].strip("*")) for row in trials]
    assert values == sorted(values, reverse=True)
    assert len(trials) == 5
    assert f"[report.html](#/experiments/7/runs/{'f' * 32}/artifacts/report.html)" in text


def test_what_is_least_is_best_where_less_is_better(make_study):
    head, *trials = rows(written(make_study(12, directions=["minimize"], names=["val_loss"])))
    assert head[1] == r"val\_loss ↓"
    values = [float(row[1].strip("*")) for row in trials]
    assert values == sorted(values)


def test_it_counts_trials_by_how_they_ended_and_the_budget(make_study):
    study = make_study(30)
    states = [trial.state for trial in study.trials]
    done, pruned, failed = map(states.count, (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    assert failed
    text = written(study, Budget(40, 3600, 2), elapsed=725)
    first = text.splitlines()[0]
    assert f"**{done + pruned} of 40 trials**" in first
    assert f"{done} done · {pruned} pruned · {failed} failed ({failed} lost)" in first
    assert "12 min 05 s of 60 min 00 s" in first


def test_the_time_between_two_starts_of_a_sweep_does_not_count(make_study, monkeypatch):
    study = make_study(2)
    alone = re.search(r"(\d+) s with trials running", written(study))[1]
    both = optuna.create_study(direction="maximize")
    for trial in study.trials:
        both.add_trial(trial)
        trial.datetime_start = trial.datetime_start.replace(day=9)
        trial.datetime_complete = trial.datetime_complete.replace(day=9)
        both.add_trial(trial)
    doubled = re.search(r"(\d+) s with trials running", written(both))[1]
    assert abs(int(doubled) - 2 * int(alone)) <= 1


def test_commands_can_be_copied(make_study):
    block = written(make_study(3)).split("```")[1]
    assert block == "sh\n# go on\nrunback sweep digits\nrunback compare --sweep digits\n"


@pytest.mark.parametrize("count", [0, 3])
def test_a_sweep_without_results_has_no_table(make_study, count):
    text = written(make_study(count, state=TrialState.PRUNED), commands=[])
    assert rows(text) == []
    assert text.startswith(f"**{count} of 20 trials**")


def test_the_front_of_several_objectives_is_called_so(make_study):
    study = make_study(9, directions=("maximize", "minimize"), names=("val_accuracy", "parameters"))
    text = written(study)
    assert "no other one beats" in text
    assert rows(text)[0][1:3] == [r"val\_accuracy ↑", "parameters ↓"]


def test_markdown_in_a_value_is_shown_as_it_is_and_secrets_are_not(make_study):
    space = {
        "model.widths": CategoricalDistribution(["[8|16]*", "<b>x</b>"]),
        "url": CategoricalDistribution(["https://me:hunter2@host/a", "https://me:hunter2@host/b"]),
        "api_token": CategoricalDistribution(["hunter2", "hunter3"]),
        "x": FloatDistribution(0, 1),
    }
    text = written(make_study(6, space=space))
    assert r"\[8\|16\]\*" in text or "&lt;b&gt;x" in text
    assert "<b>" not in text
    assert "hunter" not in text
    assert "@host/" in text


def paused(study, number, at):
    trial = study.trials[number]
    trial.state, trial.values, trial.datetime_complete = TrialState.WAITING, None, None
    trial.user_attrs = {**trial.user_attrs, "paused_at": at, "parts": [[0, 0]]}
    trial.intermediate_values = {step: 0.1 * step for step in range(1, at + 1)}
    return trial


def test_paused_trials_stand_in_it_with_links_and_so_does_the_config_as_it_is(make_study):
    study = make_study(9)
    study.add_trial(paused(study, 0, 1))
    study.add_trial(paused(study, 1, 3))
    budget = Budget(20, None, 2)
    text = note(study, PLACE, budget, elapsed=60.0, commands=COMMANDS, compared="the config *as* it is")
    runs = [study.trials[number].user_attrs["run_id"] for number in (1, 0)]
    links = [
        f"trial [{number}](#/experiments/7/runs/{run})" for number, run in zip((10, 9), runs, strict=True)
    ]
    assert f"Paused: {links[0]} 0.3000 after step 3 · {links[1]} 0.1000 after step 1" in text
    assert "2 paused" in text.splitlines()[0]
    assert r"the config \*as\* it is" in text


def test_a_study_without_pauses_says_nothing_of_them(make_study):
    assert "aused" not in written(make_study(9))


def test_the_time_of_a_trial_is_what_it_was_trained(make_study):
    study = make_study(9)
    best = study.best_trial
    began = best.datetime_start.timestamp()
    best.user_attrs["times"] = [[began, began + 10], [began + 1000, began + 1050]]
    best.values = [5.0]
    study.add_trial(best)
    assert rows(written(study))[1][-1] == "1 min 00 s"
