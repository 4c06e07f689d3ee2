"""The confirm stage of a sweep: its finalists on fresh seeds, by a coordinator like the search's own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hydra.errors import HydraException
from optuna.study import Study
from optuna.trial import TrialState

from runback.errors import InputError, StoreError
from runback.statistics.paired_seeds import Standing
from runback.sweeping.confirm.confirm_files import files
from runback.sweeping.confirm.confirm_progress import ConfirmProgress
from runback.sweeping.confirm.confirm_results import (
    Confirmed,
    confirmed,
    find_confirmed,
    is_reported,
    keep_plan,
    keep_reported,
    stored_plan,
)
from runback.sweeping.confirm.confirm_settings import KEY, ConfirmSettings
from runback.sweeping.confirm.confirm_text import terminal_lines, verdict
from runback.sweeping.confirm.finalists import ConfirmPlan, make_plan, requested
from runback.sweeping.confirm.seed_proposer import Points
from runback.sweeping.confirm.winner import register_winner
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.shared.claims import Claims, OwnStudy, SharedStudy
from runback.sweeping.space.search_space import Space
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import FINISHED, confirm_study, find_confirm_study, pruner_for
from runback.sweeping.study.trial_label import confirm_label
from runback.sweeping.sweep_settings import SweeperSettings
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.engines.engine import Engine
from runback.sweeping.trials.events import Observer
from runback.sweeping.trials.failures import FailurePolicy
from runback.sweeping.trials.hydra_job import Composer
from runback.sweeping.trials.trial_factory import TrialFactory
from runback.sweeping.watching.sweep_run import SweepRun
from runback.tracking.layout import CONFIRM, waits
from runback.tracking.tags import VERDICT_TAG, WINNER_TAG


@dataclass(frozen=True)
class Resources:
    """The means that a stage shares with its search: its engine, slots, policy, run and folder."""

    engine: Engine
    n_workers: int
    threads: int
    devices: list[str]
    policy: FailurePolicy
    parent: SweepRun
    folder: Path
    observe: Observer
    """An observer of the whole sweep."""
    attend: Callable[[Coordinator], None]
    """Called at each turn of the coordinator, see there."""
    claims: Claims = field(default_factory=OwnStudy)
    """What the search's coordinator may do with its study's trials."""


@dataclass(frozen=True)
class Stage:
    """A confirm stage as the settings describe it, whatever the results of the search."""

    sweep: str
    settings: ConfirmSettings
    seed: int
    """The sampler's."""
    budget: dict[str, Any]
    """The search's, as the settings have it."""
    composer: Composer
    searched: Space

    @classmethod
    def of(cls, sweep: str, settings: SweeperSettings, composer: Composer, searched: Space) -> Self | None:
        """Return the stage that a sweep's settings ask for, None where they do not.

        Errors: InputError where the app's config has no such key for a seed.
        """
        if settings.confirming is None:
            return None
        confirming = settings.confirming.within(composer.base)
        budget = {"n_trials": settings.n_trials, "timeout": settings.timeout}
        stage = cls(sweep, confirming, settings.seed, budget, composer, searched)
        try:
            composer.compose(0, stage._overrides(searched.corner_values()[0], seed=0))
        except HydraException as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{KEY}.seed_key must be a key of the config that takes a seed; "
                f"got {confirming.key}: {reason}"
            ) from error
        return stage

    def plan(self, study: Study, *, is_search_over: bool) -> ConfirmPlan | None:
        """Return the plan to follow now; None where the search has to go on before.

        A stage keeps its plan as long as the settings stay the same: a search that a timeout has ended does
        not begin anew.
        """
        if is_search_over:
            used = self.composer.base.get(self.settings.key)
            return make_plan(study, self.settings, seed=self.seed, used=used, budget=self.budget)
        own = find_confirm_study(study)
        stored = None if own is None else stored_plan(own)
        if own is None or stored is None or is_reported(own, stored):
            return None
        return stored if stored.asked == requested(self.settings, self.budget) else None

    def is_done(self, study: Study, plan: ConfirmPlan) -> bool:
        """Tell whether nothing is left to do for a plan."""
        own = find_confirm_study(study)
        return not plan.finalists or (own is not None and is_reported(own, plan))

    def print_results(self, study: Study) -> None:
        """Print the results of the stage."""
        result = find_confirmed(study)
        for line in [] if result is None else terminal_lines(result):
            ConfirmProgress().say(line)

    def run(self, study: Study, resources: Resources) -> None:
        """Train what is missing, compare, and report: to the terminal, the sweep's run and the registry.

        On Ctrl-C as `Coordinator.run`. What has failed for another reason than its params is tried again when
        the sweep is continued.
        """
        plan = self.plan(study, is_search_over=False) or self.plan(study, is_search_over=True)
        if plan is None or not plan.finalists:
            ConfirmProgress().say("nothing to confirm: no trial has completed")
            return
        own = confirm_study(study)
        keep_plan(own, plan)
        progress = ConfirmProgress()
        n = len(plan.finalists)
        progress.say(
            f"confirming {n} {'finalist' if n == 1 else 'finalists'}{_of(n, self.settings.top)} on "
            f"{len(plan.seeds)} fresh seeds: {len(plan.points)} trainings in all"
        )
        self._coordinator(study, own, plan, resources, progress).run()
        result = confirmed(own, plan, self.sweep)
        for line in terminal_lines(result):
            progress.say(line)
        is_registered = _report(result, resources, progress.say, step=len(own.get_trials(deepcopy=False)))
        if is_registered and _is_whole(own, plan):
            keep_reported(own, plan)

    def _coordinator(
        self, study: Study, own: Study, plan: ConfirmPlan, resources: Resources, progress: ConfirmProgress
    ) -> Coordinator:
        failed = [trial.number for trial in own.get_trials(deepcopy=False) if trial.state == TrialState.FAIL]
        claims = resources.claims
        return Coordinator(
            study=own,
            decisions=Decisions(own, Points(plan.points, failed), lambda: pruner_for(None)),
            engine=resources.engine,
            budget=Budget(None, None, resources.n_workers),
            policy=resources.policy,
            new_trial=self._new_trial(study, resources),
            observers=[resources.parent.of_confirm(own).observe, progress.observe, resources.observe],
            devices=resources.devices,
            attend=resources.attend,
            claims=claims.of_confirm(own) if isinstance(claims, SharedStudy) else claims,
        )

    def _new_trial(self, study: Study, resources: Resources) -> TrialFactory:
        trials = study.get_trials(deepcopy=False)
        return TrialFactory(
            self.composer,
            self.sweep,
            resources.threads,
            resources.parent.id,
            lambda params: self._overrides(trials[params["trial"]].params, params["seed"]),
            confirm_label,
            is_in_label_folder=True,
        )

    def _overrides(self, params: dict[str, Any], seed: int) -> list[str]:
        """Return the overrides of a finalist, with another seed."""
        key = self.settings.key
        overrides = self.searched.overrides({**params, key: seed})
        return overrides if key in params else [*overrides, f"{key}={seed}"]


def _of(count: int, wanted: int) -> str:
    return "" if count == wanted else f" (of {wanted} asked for)"


def _is_whole(own: Study, plan: ConfirmPlan) -> bool:
    """Tell whether no training is left to be tried again: it has a value, or its params are to blame."""
    ended = [trial.params for trial in own.get_trials(deepcopy=False, states=FINISHED)]
    return all(point in ended for point in plan.points)


def _report(result: Confirmed, resources: Resources, say: Callable[[str], None], step: int) -> bool:
    """Register the winner and give the results to the sweep's run; return whether that needs no other try.

    `step` has to grow from one report to the next.
    """
    registered, is_registered = _registered(result, resources)
    if registered is not None:
        say(registered)
    run = resources.parent.run
    folder = resources.folder / CONFIRM
    for name, text in files(result, registered).items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        if run is not None:
            run.log_text(text, name)
    if run is not None and result.standings:
        best = result.standings[0]
        run.set_tags({WINNER_TAG: str(best.trial), VERDICT_TAG: verdict(result)})
        run.log_metrics(_metrics(best), step)
    return is_registered


def _metrics(best: Standing) -> dict[str, float]:
    metrics = {
        "confirm.mean": best.mean.mean,
        "confirm.low": best.mean.low,
        "confirm.high": best.mean.high,
        "confirm.optimism": best.optimism,
    }
    chance = best.probability_best
    return metrics if chance is None else {**metrics, "confirm.probability_best": chance}


def _registered(result: Confirmed, resources: Resources) -> tuple[str | None, bool]:
    """Register the winner; return a line about that, and whether it needs no other try."""
    run = resources.parent.run
    if run is None:
        return None, True
    resources.parent.flush()
    try:
        return register_winner(run.store, result), True
    except InputError as error:
        return f"Not registered: {error}", not (isinstance(error, StoreError) or waits(resources.folder))
