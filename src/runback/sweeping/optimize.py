"""A whole sweep, from Hydra's config to the summary."""

import gc
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from optuna.study import Study
from optuna.trial import TrialState

from runback.errors import InputError, StoreError, TrainingError
from runback.provenance.config_hash import text_hash
from runback.sweeping.confirm.stage import Resources, Stage
from runback.sweeping.control.controller import Controller, as_changed, heeding_stops
from runback.sweeping.control.detached import detach, is_detaching
from runback.sweeping.control.mailbox import Mailbox
from runback.sweeping.corners import (
    composed_corners,
    fractions_of_whole_numbers,
    same_in_all,
    with_advice,
)
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.determinism import keep_order
from runback.sweeping.deciding.first_points import (
    config_point,
    first_points,
    keep_first_points,
    stored_first_points,
)
from runback.sweeping.deciding.promoting import PromotingDecisions
from runback.sweeping.deciding.promotion import promotion_of
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.ending import (
    Ending,
    has_ended,
    has_result,
    nothing_runs,
    refuse_without_result,
    remove_left_checkpoints,
)
from runback.sweeping.engine_settings import cpus_per_trial, engine_of
from runback.sweeping.hydra_task import HydraTask
from runback.sweeping.joining import as_recorded, compared_data, joined_budget
from runback.sweeping.reporting.best_config import best_config
from runback.sweeping.reporting.follow_up_commands import AppCommands
from runback.sweeping.reporting.reporter import Reporter
from runback.sweeping.reporting.sweep_note import RunLinks
from runback.sweeping.shared.recorded_sweep import record_sweep
from runback.sweeping.space import search_space
from runback.sweeping.space.grid import is_finite
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import Space
from runback.sweeping.study import states
from runback.sweeping.study.attributes import DATA, RECORDED_SWEEP
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import (
    STUDY,
    finished_count,
    keep_names,
    keep_search,
    pruner_for,
    readable_errors,
)
from runback.sweeping.study.trial_label import trial_label
from runback.sweeping.study_place import StudyPlace, shared
from runback.sweeping.sweep_settings import FIRST_CONFIG, SweeperSettings
from runback.sweeping.trials import messages
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.devices import devices
from runback.sweeping.trials.engines.engine import Ended, Engine, MessageReceived
from runback.sweeping.trials.events import Observer
from runback.sweeping.trials.failures import RETRIES
from runback.sweeping.trials.hydra_job import Composer, app_config
from runback.sweeping.trials.out_of_memory import MEMORY_PER_TRIAL
from runback.sweeping.trials.trial import Trial
from runback.sweeping.trials.trial_factory import TrialFactory
from runback.sweeping.watching.live_file import LiveFile
from runback.sweeping.watching.live_table import LiveTable
from runback.sweeping.watching.notifier import Notifier
from runback.sweeping.watching.sweep_run import SweepRun
from runback.sweeping.watching.webhook import webhooks
from runback.system.config.interpolation import variables
from runback.system.config.written_config import refuse_environment, written
from runback.system.cores import available_cores
from runback.system.main_program import MainProgram
from runback.system.text.escape import lines_for_terminal
from runback.system.text.formatting import duration
from runback.system.text.screen import is_in_notebook
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, folder_name


@dataclass(frozen=True)
class Slots:
    """The number of trials that run at once, and each one's CPU threads."""

    n_workers: int
    threads: int
    devices: list[str] = field(default_factory=list)
    """The GPUs that trials are divided among; none: they run on the CPU."""


def sweep(
    settings: SweeperSettings,
    *,
    loader: ConfigLoader,
    task: HydraTask,
    config: DictConfig,
    arguments: Sequence[str],
    layout: Layout | None,
) -> None:
    """Start the sweep or continue it, until its budget is used up; it is tracked in the project of `layout`.

    One that has ended, but was killed before its end was written, gets that written now.

    Errors: InputError before anything is stored; TrainingError when no trial has completed.
    """
    settings.check()
    program = MainProgram.here()
    if program is not None:
        program.pass_on()
    _refuse_environment(config)
    if settings.experiment is not None:
        folder_name(settings.experiment, _experiment_key(config))
    searched = search_space.parse(settings.params, arguments, loader)
    settings = replace(settings, sampler=settings.sampler or _automatic_sampler(settings, searched))
    promotion = promotion_of(settings.pruner)
    pruner = partial(pruner_for, None if promotion is not None else settings.pruner)
    pruner()  # or say at once why it cannot be built
    composer = Composer.of(loader, config, task)
    sweep_folder = Path(config.hydra.sweep.dir).absolute()
    own_point = None if settings.first in (None, "none") else config_point(composer, searched)
    # Without first points: how many trials there are at most, or at once why it cannot be built.
    limit = Proposer(settings.sampler, searched, settings.seed, startup=settings.startup).limit
    limits = [limit for limit in (settings.n_trials, limit) if limit is not None]
    if not limits and settings.timeout is None:
        raise InputError("the sweep would never end: set hydra.sweeper.n_trials or hydra.sweeper.timeout")
    name = settings.name or sweep_folder.name
    search = as_recorded(Search.of(searched, settings.directions, composer.base), settings.joining)
    slots = divide(settings)
    budget = Budget(min(limits, default=None), settings.timeout, slots.n_workers)
    stage = Stage.of(name, settings, composer, searched)

    with ExitStack() as ends:
        place = StudyPlace.of(ends, settings, sweep_folder, name)
        is_known = place.is_known
        # What does not fit is refused before anything is started.
        if is_known:
            study = ends.enter_context(place.opened(search, extend=settings.extend))
            keep_order(study, settings, slots.n_workers, slots.threads)
        else:
            place.refuse_without_study()
        # A kill may have come between making the study and recording the sweep.
        recorded = (study.user_attrs.get(RECORDED_SWEEP) if is_known else None) or {}
        is_to_record = place.sharing is not None and settings.joining is None and "format" not in recorded
        first, notes = _first_points(settings, composer, searched, sweep_folder, study if is_known else None)
        if is_known:
            own = (
                ("n_trials", "timeout") if settings.joining is not None else ()
            )  # workers are a machine's own
            budget = as_changed(study, budget, *own)
        is_over, is_done = _progress(study, budget, stage) if is_known else (False, False)
        if is_detaching() and not is_done:
            settings.check_max_resource()
            if not is_known:
                composed_corners(composer, searched)  # what the task, or the store, refuses its process says
            ends.close()  # the sweep's folder is for the process that goes on
            detach(sweep_folder, name, settings.engine)
            return
        if settings.joining is not None and settings.joining.get("stay"):
            is_over = is_done = False  # more may come
        data = None
        if not is_done:
            if sys.stdout.isatty() or is_in_notebook():  # what is imported and checked now takes seconds
                say(f"sweep {name}: getting ready, {budget.n_workers} trials at once")
            engine = ends.enter_context(
                closing(
                    engine_of(
                        *(settings.engine, place.own_folder, budget.n_workers, settings.start_method),
                        composer.preload(settings.preload),
                        composer.warm_up(slots.threads),
                    )
                )
            )
            if (
                settings.extend or settings.joining is not None or not is_known or is_to_record
            ):  # else they were, before it began
                seen_by_all = None if settings.engine is None else sweep_folder
                with heeding_stops(place.own_folder, is_needed=settings.engine is not None) as attend:
                    data = _check_corners(composer, searched, engine, slots, seen_by_all, attend)
                if settings.joining is not None:
                    say(*compared_data(settings.joining, data))
        settings.check_max_resource()
        if is_to_record:
            recorded = record_sweep(config, task, layout, data)
        if not is_known:
            _refuse_deleted(settings.experiment, _experiment_key(config), layout)
            study = ends.enter_context(place.opened(search, extend=settings.extend))
        keep_search(study, search)
        keep_first_points(study, settings.first, first)
        keep_names(study, settings.objectives)
        order = keep_order(study, settings, slots.n_workers, slots.threads)
        if place.sharing is not None and settings.joining is None:
            study.set_user_attr(RECORDED_SWEEP, {**recorded, "n_trials": settings.n_trials})
        place.creation.close()
        claims = place.claims(study)
        proposer = Proposer(settings.sampler, searched, settings.seed, first=first, startup=settings.startup)
        if not is_known:
            say(*_about_length(settings, config, searched), *_about_priors(proposer, searched), *notes)
        decisions = Decisions(study, proposer, pruner, order.window)
        if promotion is not None:
            # By a choice of the config's, where the config itself is outside the space, nothing is measured.
            has_baseline = bool(first) and (settings.first != FIRST_CONFIG or first[0] == own_point)
            length = None if settings.max_resource == "auto" else settings.max_resource
            decisions = PromotingDecisions(
                study, proposer, pruner, order.window, promotion, has_baseline, length
            )
        if is_done:
            LiveTable(study, budget, searched, config_point=own_point).print_finished()
            if stage is not None:
                stage.print_results(study)
            if has_ended(study, layout):
                refuse_without_result(study, sweep_folder)
                return
            if place.sharing is None:
                say("its end had not been written: that is done now")
        open_run = partial(SweepRun.open, study, name, settings, searched, sweep_folder)
        parent = claims.exclusively(lambda: open_run(composer.groups, layout, place.own_folder))
        if (shared_claims := shared(claims)) is not None:
            shared_claims.note_run(parent.id)
        new_trial = TrialFactory(composer, name, order.threads, parent.id, searched.overrides, trial_label)

        def best_config_of(params: dict[str, Any], about: str) -> str:
            return best_config(composer, searched.overrides(params), about)

        reporter = None
        if parent.run is not None:
            links = RunLinks(parent.run.experiment_id(), parent.run.id)
            app = _app_commands(task, program, searched)
            reporter = Reporter(
                study, parent.run, links, budget, config, sweep_folder, best_config_of, app, own_point
            )
        gc.freeze()  # what is imported by now stays: looking for garbage in it would slow every trial's start
        table = LiveTable(study, budget, searched, config_point=own_point)
        live = LiveFile(place.own_folder, table)
        mailbox = Mailbox(place.own_folder)
        controller = Controller(
            *(mailbox, study, proposer, composer, searched, claims), is_deterministic=order.window is not None
        )
        observers: list[Observer] = [parent.observe, table.observe, live.observe]
        observers += [reporter.observe] if reporter else []
        hooks = webhooks(settings.notify)
        notifier = Notifier(study, hooks) if hooks else None
        observers += [notifier.observe] if notifier else []
        is_closed = False

        def is_written() -> bool:
            return is_closed and (reporter is None or reporter.is_written)

        end = Ending(study, sweep_folder, claims, is_written, lambda: _progress(study, budget, stage)[1])
        with (
            end.noting(),
            parent.recording(lambda: end.goes_on(parent.id)),
            readable_errors(sweep_folder / STUDY),
            live.keeping(),
            mailbox.receiving(),
            notifier.keeping(lambda: end.leaves) if notifier else nullcontext(),
            reporter.keeping(lambda: end.leaves) if reporter else nullcontext(),
        ):
            remove_left_checkpoints(study, sweep_folder)
            if not is_over:
                coordinator = Coordinator(
                    *(study, decisions, engine, budget, settings.policy, new_trial, observers, slots.devices),
                    attend=controller.attend,
                    claims=claims,
                    stays=settings.joining is None,
                    more=None if settings.joining is None else joined_budget(study, settings.joining, budget),
                )
                try:
                    with table.live():
                        coordinator.run()
                finally:
                    table.print_summary()
                if coordinator.was_timed_out:
                    say(*_left_by_timeout(study, budget))
            is_ending = end.take(waits=is_done)
            if not is_ending:
                say(end.why_not)
            elif stage is not None and not is_done and has_result(study):
                where = (engine, budget.n_workers, order.threads, slots.devices)
                watched = (live.observe, controller.attend)
                stage.run(study, Resources(*where, settings.policy, parent, sweep_folder, *watched, claims))
            if is_ending:
                is_closed = parent.close_ended()
            if is_ending or nothing_runs(study):
                refuse_without_result(study, sweep_folder)


def _left_by_timeout(study: Study, budget: Budget) -> list[str]:
    """Return a line on what a timeout has left to do; none where nothing is known of."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    paused = sum(map(states.is_paused, waiting))
    left = (budget.n_trials or 0) - finished_count(study) - len(waiting)
    parts = [f"{left} trials not begun"] if left > 0 else []
    parts += [f"{paused} paused"] if paused else []
    if not parts:
        return []
    seconds = duration(budget.timeout or 0)
    return [f"the timeout of {seconds} ended it: {', '.join(parts)}; the same command goes on"]


def _app_commands(task: HydraTask, program: MainProgram | None, searched: Space) -> AppCommands:
    """Return how a task is started: as it says itself, else as this process was."""
    words = task.command
    if words is None:
        words = () if program is None else tuple(program.words)
    return AppCommands(words, task.is_evaluated, searched.written, is_of_runback=task.command is not None)


def _refuse_environment(config: DictConfig) -> None:
    """Refuse settings from the environment that are written: into the study, or as the sweep's name."""
    for key, names in variables(OmegaConf.to_container(config.hydra.sweeper)).items():
        if key.split(".")[0] in ("name", "experiment", "params"):
            raise InputError(
                f"hydra.sweeper.{key} must not come from the environment (here {', '.join(names)}): it is "
                "written; a value that all trials share stands in the config itself: ${oc.env:NAME}"
            )
    refuse_environment(written(app_config(config)))


def _experiment_key(config: DictConfig) -> str:
    """Return the key that names the sweep's experiment: where it is a reference, the one referred to."""
    written = OmegaConf.to_container(config.hydra.sweeper).get("experiment")  # type: ignore[union-attr]
    reference = re.fullmatch(r"\$\{([\w.]+)\}", str(written))
    return reference[1] if reference else "hydra.sweeper.experiment"


def _refuse_deleted(experiment: str | None, key: str, layout: Layout | None) -> None:
    """Refuse an experiment that was deleted before the study is made. Errors: InputError, StoreError."""
    if experiment is not None and layout is not None:
        from runback.tracking.store import find_experiment, open_store

        find_experiment(open_store(layout), experiment, key)


def divide(settings: SweeperSettings) -> Slots:
    """Decide how many trials run at once and how many CPU threads each one gets."""
    if settings.engine is not None:
        cpus = cpus_per_trial(settings.engine)
        return Slots(settings.n_workers, cpus if settings.threads == "auto" else settings.threads)
    available = available_cores()
    gpus = devices(settings.gpus)
    if settings.distribution is not None:  # one trial, which has all of them
        gpus = [",".join(gpus)] if gpus else []
        settings = replace(settings, n_workers=1)
    if settings.n_workers == "auto" and gpus:
        n_workers = min(len(gpus) * settings.trials_per_gpu, settings.n_trials or available)
    elif settings.n_workers == "auto":
        share = 1 if settings.threads == "auto" else settings.threads
        by_memory = int(psutil.virtual_memory().available // MEMORY_PER_TRIAL)
        n_workers = max(1, min(available // share, by_memory, settings.n_trials or available))
    else:
        n_workers = settings.n_workers
    threads = max(1, available // n_workers) if settings.threads == "auto" else settings.threads
    return Slots(n_workers, threads, gpus)


def _about_length(settings: SweeperSettings, config: DictConfig, searched: Space) -> list[str]:
    """Return a line where the length of trainings is searched, or not known, by which a pruner goes."""
    written = OmegaConf.to_container(config.hydra.sweeper).get("max_resource")  # type: ignore[union-attr]
    key = str(written).removeprefix("${").removesuffix("}")
    if settings.pruner is not None and key in searched.distributions:
        return [
            f"warning: {key} is searched beside a pruner, which gives epochs to those that use them best: a "
            f"short trial cannot show that; write {key}=N, the most epochs, and leave it out of the search"
        ]
    promotion, last = promotion_of(settings.pruner), settings.max_resource
    if promotion is not None and isinstance(last, int) and promotion.min_resource >= last:
        return [
            f"warning: no trial will pause: the first rung, step {promotion.min_resource} "
            f"(hydra.sweeper.pruner.min_resource), is not before the end of a training, step {last}"
        ]
    if promotion is not None and last is None:
        return [
            "note: a training may pause at its end too, unless run.epochs or the Keras callback says how "
            "long it is, or hydra.sweeper.max_resource=N, the last step of a whole one"
        ]
    return []


def _about_priors(proposer: Proposer, searched: Space) -> list[str]:
    """Return a line where priors are not heeded."""
    if proposer.covers or not searched.priors:
        return []
    names = ", ".join(f"{name} (prior {value:g})" for name, value in searched.priors.items())
    return [
        f"note: the search does not begin near the likely values of {names}: "
        "the samplers tpe and gp do, with hydra.sweeper.startup=covering"
    ]


def _first_points(
    settings: SweeperSettings, composer: Composer, searched: Space, folder: Path, study: Study | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the points that the sweep begins with, and lines about them: those of its first start.

    Another sweep's best may be others by now. Errors: InputError.
    """
    if str(settings.sampler["_target_"]).startswith("runback."):
        return [], []  # a grid has all points
    stored = None if study is None else stored_first_points(study, settings.first, searched)
    return first_points(settings.first, composer, searched, folder) if stored is None else (stored, [])


def _automatic_sampler(settings: SweeperSettings, searched: Space) -> dict[str, Any]:
    if settings.n_trials is None and settings.timeout is None and is_finite(searched.distributions):
        return {"_target_": "runback.sweeping.space.grid.points"}
    return {"_target_": "optuna.samplers.TPESampler"}


def _progress(study: Study, budget: Budget, stage: Stage | None) -> tuple[bool, bool]:
    """Return whether the search is over, and whether all is done."""
    is_over = has_enough(study, budget)
    if stage is None:
        return is_over, is_over
    plan = stage.plan(study, is_search_over=is_over)
    return plan is not None, plan is not None and stage.is_done(study, plan)


def has_enough(study: Study, budget: Budget) -> bool:
    """Tell whether the budget is used up, and no trial is paused, or left of a killed coordinator."""
    trials = study.get_trials(deepcopy=False)
    if budget.n_trials is None or any(
        one.state == TrialState.RUNNING or states.is_paused(one) for one in trials
    ):
        return False
    return finished_count(study) >= budget.n_trials


def _check_corners(
    composer: Composer,
    searched: Space,
    engine: Engine,
    slots: Slots,
    shared: Path | None,
    attend: Callable[[], None],
) -> str | None:
    """Compose the corners of the search space and have the app check them, before anything is stored.

    The app's check runs in a trial process: it may import what the coordinator never does. A list that it
    accepts belongs where it stands; of an app without a check nobody knows. `shared` is a folder that the
    workers of other machines see. Returns the fingerprint of the data that was read; None: none was.
    """
    corners = composed_corners(composer, searched)
    call = composer.call_check(corners, slots.threads)
    data = None
    if call is None:
        notices = [*same_in_all(composer, searched).values()]
    else:
        notices, data = _checked(
            call, partial(with_advice, composer, searched), engine, slots, shared, attend
        )
    say(*fractions_of_whole_numbers(composer, searched), *notices)
    return data


def _checked(
    call: Callable[[], Any],
    advised: Callable[[str], str],
    engine: Engine,
    slots: Slots,
    shared: Path | None,
    attend: Callable[[], None],
) -> tuple[list[str], str | None]:
    """Run the app's check; return its notices, its data's fingerprint. Errors: InputError, TrainingError."""
    with tempfile.TemporaryDirectory(prefix="runback-check-", dir=shared) as scratch:
        folder = Path(scratch)
        check = Trial.of(call, number=-1, sweep="check", folder=folder, threads=slots.threads, parent=None)
        for _ in range(1 + RETRIES["lost"]):
            outcome, notices, data = _outcome(engine, check, attend)
            if not isinstance(outcome, messages.Failed) or outcome.kind not in ("lost", "stopped"):
                break
    _raise_if_failed(outcome, advised)
    return notices, text_hash("\n".join(data)) if data else None


def _outcome(
    engine: Engine, trial: Trial, attend: Callable[[], None]
) -> tuple[messages.Outcome, list[str], list[str]]:
    """Run a check to its end; return how it ended, the lines of its notices, each once, and of its data.

    `attend` is called now and then meanwhile.
    """
    engine.start(trial)
    notices: dict[tuple[str, ...], None] = {}
    data: list[str] = []
    try:
        while True:
            attend()
            for event in engine.events(1.0):
                if isinstance(event, Ended) and isinstance(event.outcome, messages.Preempted):
                    return messages.Failed("stopped", event.outcome.reason), [], []
                if isinstance(event, Ended) and isinstance(event.outcome, messages.Outcome):
                    return event.outcome, [line for notice in notices for line in notice], data
                if isinstance(event, MessageReceived) and isinstance(event.message, messages.Notice):
                    notices[event.message.lines] = None
                if isinstance(event, MessageReceived) and isinstance(event.message, messages.Attribute):
                    data += [event.message.value] if event.message.name == DATA else []
    finally:  # on Ctrl-C it may be in the middle of a download
        engine.kill(trial.number)


def _raise_if_failed(outcome: messages.Outcome, advised: Callable[[str], str]) -> None:
    match outcome:
        case messages.Failed("input", reason):
            raise InputError(advised(reason))
        case messages.Failed("data" | "out_of_memory", reason):
            raise InputError(reason)
        case messages.Failed("store", reason):
            raise StoreError(reason)
        case messages.Failed(kind, reason, traceback):
            sys.stderr.write(lines_for_terminal(traceback))
            raise TrainingError(f"the check before the first trial failed ({kind}): {reason}")
