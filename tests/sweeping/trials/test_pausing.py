"""Trials that pause and go on: real processes and a real study, on tasks that need no TensorFlow."""

import contextlib
import itertools
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from functools import partial

import pytest
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from runback.sweeping import report
from runback.sweeping.deciding.promoting import PromotingDecisions
from runback.sweeping.deciding.promotion import Promotion
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.optimize import has_enough
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.attributes import PARTS, PAUSED_AT
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.states import is_paused, state
from runback.sweeping.study.study_store import open_study
from runback.sweeping.study.training_times import training_times
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.events import Idle, PartEnded, TrainedAgain, TrialEnded
from runback.sweeping.trials.failures import RETRIES, FailurePolicy
from runback.sweeping.trials.trial import Trial, current

RANDOM = {"_target_": "optuna.samplers.RandomSampler"}
TPE = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 4}


def climb(number, params, *, steps=9, seconds=0.0, marks=None):
    """Report a value that grows with the step; it keeps no checkpoint, and begins again where it goes on."""
    current().has_epochs(steps)
    for step in range(1, steps + 1):
        if seconds:
            time.sleep(random.random() * seconds)  # noqa: S311 - who is faster must not matter
        if marks is not None:
            with (marks / f"{number}.steps").open("a") as file:
                file.write(f"{step}\n")
        report(params["x"] * step, step)
    return params["x"] * steps


def sweep(
    folder,
    engine,
    task,
    *,
    has_baseline=False,
    n_trials=9,
    n_workers=2,
    sampler=RANDOM,
    space="interval(0, 1)",
    window=None,
    is_over_at_a_pause=False,
):
    """Return study, events and coordinator; `is_over_at_a_pause` lets the time be up at the first pause."""
    searched = parse({"x": space}, [], None)
    study = open_study(folder, "s", Search.of(searched, ("maximize",), {}))
    events = []

    def new_trial(proposed, previous_run_id, device):
        return Trial.of(
            partial(task, proposed.number, proposed.params),
            number=proposed.number,
            sweep="s",
            threads=1,
            parent=None,
            previous_run_id=previous_run_id,
            device=device,
            folder=folder / str(proposed.number),
        )

    decisions = PromotingDecisions(
        study, Proposer(sampler, searched, seed=0), NopPruner, window, Promotion(), has_baseline
    )
    budget = Budget(n_trials, None, n_workers)
    policy = FailurePolicy(RETRIES)
    coordinator = Coordinator(study, decisions, engine, budget, policy, new_trial, [events.append])
    if is_over_at_a_pause:
        coordinator.budget = Budget(n_trials, 1.0, n_workers)
        coordinator.clock = lambda: 2.0 * any(isinstance(event, PartEnded) for event in events)
    return study, events, coordinator


def test_the_best_go_on_and_the_budget_is_exact(tmp_path, engine):
    study, events, coordinator = sweep(tmp_path, engine, climb)
    coordinator.run()
    trials = study.get_trials(deepcopy=False)
    assert len(trials) == 9
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    best = max(trials, key=lambda trial: trial.params["x"])
    assert best.state == TrialState.COMPLETE
    assert best.value == best.params["x"] * 9
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) < 5
    for trial in trials:
        assert len(trial.intermediate_values) in (1, 3, 9)
        assert [start_step for _, start_step in trial.user_attrs[PARTS]] == [0, 1, 3][
            : len(trial.user_attrs[PARTS])
        ]
    numbers = [number for trial in trials for number, _ in trial.user_attrs[PARTS]]
    assert sorted(numbers) == [*range(len(numbers))]
    assert sum(isinstance(event, TrialEnded) for event in events) == 9
    assert any(isinstance(event, PartEnded) for event in events)


def test_the_times_of_its_parts_are_noted_and_no_pause_is_among_them(tmp_path, engine):
    study, _, coordinator = sweep(tmp_path, engine, partial(climb, seconds=0.02), n_workers=1)
    coordinator.run()
    times = [span for trial in study.get_trials(deepcopy=False) for span in training_times(trial)]
    assert len(times) > 9
    ordered = sorted(times)
    assert all(start < end for start, end in ordered)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ordered))


def test_a_baseline_is_trained_to_its_end_without_a_pause(tmp_path, engine):
    def poor_at_first(number, params):
        return climb(number, {"x": 0.001 if number == 0 else params["x"]})

    study, _, coordinator = sweep(tmp_path, engine, poor_at_first, has_baseline=True, n_trials=6)
    coordinator.run()
    baseline = study.trials[0]
    assert baseline.state == TrialState.COMPLETE
    assert len(baseline.user_attrs[PARTS]) == 1


def test_a_deterministic_sweeps_baseline_keeps_nobody_waiting_and_comes_to_its_end(tmp_path, engine):
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        task = partial(climb, seconds=0.05)
        knobs = {"has_baseline": True, "n_trials": 6, "window": 2}
        study, _, coordinator = sweep(tmp_path / name, engine, task, space="interval(0.9, 1)", **knobs)
        coordinator.run()
        found.append(facts(study))
    assert found[0] == found[1]
    baseline, *others = study.trials
    assert baseline.state == TrialState.COMPLETE
    parts = {start_step: number for number, start_step in baseline.user_attrs[PARTS]}
    assert [*parts] == [0, 1, 3]
    numbers = {number for trial in others for number, _ in trial.user_attrs[PARTS]}
    assert numbers & {*range(parts[0], parts[3])}  # they were trained while it was
    assert parts[3] <= 6


@pytest.mark.parametrize("n_trials", [1, 2, 4])
def test_a_small_sweep_has_a_result_too(tmp_path, engine, n_trials):
    study, _, coordinator = sweep(tmp_path, engine, climb, n_trials=n_trials)
    coordinator.run()
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert len(study.trials) == n_trials
    assert max(study.trials, key=lambda trial: trial.params["x"]).number in {t.number for t in complete}


def test_a_value_that_was_reported_is_reported_once(tmp_path, engine):
    study, _, coordinator = sweep(tmp_path, engine, partial(climb, marks=tmp_path), n_trials=3, n_workers=1)
    coordinator.run()
    [complete] = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    steps = (tmp_path / f"{complete.number}.steps").read_text().split()
    assert steps[-9:] == [*map(str, range(1, 10))]  # it has begun again
    assert [*complete.intermediate_values] == [*range(1, 10)]


def test_checkpoints_of_eliminated_trials_are_removed(tmp_path, engine):
    def keeps(number, params):
        folder = tmp_path / str(number)
        (folder / "checkpoint-00001-0000000.npz").write_bytes(b"a state")
        return climb(number, params)

    study, _, coordinator = sweep(tmp_path, engine, keeps)
    coordinator.run()
    pruned = [trial.number for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert not any((tmp_path / str(number) / "checkpoint-00001-0000000.npz").exists() for number in pruned)


def test_a_failed_trial_is_no_trial_less(tmp_path, engine):
    def fails(number, params):
        if number in (1, 4):
            raise ValueError("no")
        return climb(number, params)

    study, _, coordinator = sweep(tmp_path, engine, fails, n_trials=6)
    coordinator.run()
    counted = [trial for trial in study.trials if trial.state != TrialState.FAIL]
    assert len(counted) == 6
    assert sum(trial.state == TrialState.FAIL for trial in study.trials) == 2


def test_a_paused_trial_waits_for_a_sweep_whose_time_is_up(tmp_path, engine):
    study, _, coordinator = sweep(tmp_path, engine, climb, n_trials=40, is_over_at_a_pause=True)
    coordinator.run()
    paused = [trial for trial in study.get_trials(deepcopy=False) if is_paused(trial)]
    assert paused
    assert {state(trial) for trial in paused} == {"paused"}
    _, _, again = sweep(tmp_path, engine, climb, n_trials=len(study.trials) + 2)
    again.run()
    assert not [trial for trial in study.get_trials(deepcopy=False) if is_paused(trial)]
    assert sum(trial.state.is_finished() for trial in study.trials) == len(study.trials)


def test_all_have_begun_when_the_time_is_up_and_what_is_paused_goes_on_later(tmp_path, engine):
    study, _, coordinator = sweep(tmp_path, engine, climb, n_trials=2, is_over_at_a_pause=True)
    coordinator.run()
    assert {state(trial) for trial in study.get_trials(deepcopy=False)} == {"paused", "pruned"}
    sweep(tmp_path, engine, climb, n_trials=2)[2].run()
    assert {state(trial) for trial in study.get_trials(deepcopy=False)} == {"done", "pruned"}


def test_a_grid_ends_though_one_of_its_points_has_failed(tmp_path, engine):
    def fails(number, params):
        if number == 0:
            raise ValueError("no")
        return climb(number, params)

    grid = {"_target_": "runback.sweeping.space.grid.points"}
    study, _, coordinator = sweep(tmp_path, engine, fails, n_trials=4, sampler=grid, space="choice(1,2,3,4)")
    coordinator.run()
    counts = Counter(map(state, study.get_trials(deepcopy=False)))
    assert counts["failed"] == 1
    assert counts["done"] + counts["pruned"] == 3
    best = max(study.trials, key=lambda trial: trial.params["x"])
    assert state(best) == "done"


def test_with_fewer_trials_than_have_ended_none_stays_paused(tmp_path, engine):
    study, _, coordinator = sweep(tmp_path, engine, climb, n_trials=40, is_over_at_a_pause=True)
    coordinator.run()
    assert any(map(is_paused, study.get_trials(deepcopy=False)))
    assert not has_enough(study, Budget(1, None, 2))
    sweep(tmp_path, engine, climb, n_trials=1)[2].run()
    assert not any(map(is_paused, study.get_trials(deepcopy=False)))
    assert has_enough(study, Budget(1, None, 2))


def test_a_step_that_is_trained_again_is_told_once(tmp_path, engine):
    _, events, coordinator = sweep(tmp_path, engine, climb, n_trials=3, n_workers=1)
    coordinator.run()
    again = [(event.step, event.paused_at) for event in events if isinstance(event, TrainedAgain)]
    assert again
    assert {step for step, _ in again} == {1}
    assert {paused_at for _, paused_at in again} <= {1, 3}


def facts(study):
    return [
        (
            trial.number,
            trial.params,
            trial.state,
            trial.values,
            trial.intermediate_values,
            trial.user_attrs[PARTS],
        )
        for trial in study.get_trials(deepcopy=False)
    ]


def test_a_deterministic_sweep_does_not_depend_on_who_is_faster(tmp_path, engine):
    found = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        task = partial(climb, seconds=0.05)
        study, _, coordinator = sweep(folder, engine, task, n_trials=14, n_workers=3, sampler=TPE, window=3)
        coordinator.run()
        found.append(facts(study))
    assert found[0] == found[1]
    assert len(found[0]) == 14


KILLS = (2, 5, 9)
"""The events of the sweep at which its coordinator is killed, of each start: together fewer than it has."""


@pytest.mark.parametrize("window", [None, 2])
def test_killed_again_and_again_a_sweep_ends_with_its_exact_budget(tmp_path, window):
    folder = tmp_path / "killed"
    folder.mkdir()
    for event in KILLS:
        process = multiprocessing.get_context("spawn").Process(target=run_whole, args=(folder, window, event))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    study = run_whole(folder, window)
    trials = study.get_trials(deepcopy=False)
    assert sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials) == 10
    assert all(trial.state.is_finished() for trial in trials)
    for trial in trials:
        assert trial.user_attrs.get(PAUSED_AT) in (None, 1, 3)
        assert trial.intermediate_values == {
            step: trial.params["x"] * step for step in trial.intermediate_values
        }
    if window is not None:
        whole = tmp_path / "whole"
        whole.mkdir()
        assert facts(run_whole(whole, window)) == facts(study)


def run_whole(folder, window, killed_at=None):
    """Run a sweep of ten trials to its end, or to an event, and return its study."""
    task = partial(climb, seconds=0.05)
    with contextlib.closing(LocalEngine()) as local:
        study, events, coordinator = sweep(folder, local, task, n_trials=10, sampler=TPE, window=window)

        def kill(event):
            if sum(not isinstance(one, Idle) for one in events) == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

        coordinator.observers = [*coordinator.observers, kill]
        coordinator.run()
    return study
