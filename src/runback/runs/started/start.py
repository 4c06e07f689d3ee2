"""`runback.start`: a run in anybody's script, or in a Hydra app of their own."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runback.errors import InputError, RunbackError, Stopped
from runback.runs.checkpoint import discard
from runback.runs.live.run import Run, RunContext, recorded_run
from runback.runs.live.run_record import config_params
from runback.runs.live.run_spec import RunSpec
from runback.runs.objectives import directed
from runback.runs.resume import unfinished
from runback.runs.run_folder import continued, fresh_folder
from runback.runs.started.again_channel import Again
from runback.runs.started.given_config import given_config
from runback.runs.started.started_task import arguments_here, program_here, started_task
from runback.runs.tasks.swept_objectives import refuse_other_direction, swept_objectives
from runback.runs.tasks.task_spec import task_spec
from runback.sweeping.trials import trial as trials
from runback.sweeping.trials.trial import TrialClient
from runback.system.config.flattening import flatten
from runback.system.cores import available_cores
from runback.system.exit_code import exit_code
from runback.system.stop_signals import stop_on_signals
from runback.system.text.formatting import run_name
from runback.system.text.lasting_output import lasting_output
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, check_writable, project_root
from runback.tracking.mlflow_limits import refuse_param_names

_begun: dict[str, int] = {}
"""The number of runs that this process has started, by the folder of their Hydra job."""


@contextlib.contextmanager
def start(
    config: Any = None,
    *,
    objective: str | Sequence[str] | None = None,
    direction: str | Sequence[str] | None = None,
    name: str | None = None,
) -> Iterator[Run]:
    """Give a run that is recorded to the end of the block, however that ends.

        with runback.start(cfg, objective="val_loss") as run:
            ...

    `config` is a Hydra app's, a dict, a dataclass or an argparse.Namespace; its keys are the run's params,
    and `run.seed`, `run.threads` and `run.experiment` are added where it has none. In a Hydra app the run's
    folder is Hydra's; in a sweep it is the trial. `objective` names the metrics that it is judged by, whose
    best values it gets, `direction` (maximize or minimize) the better ones, by default what the names say.

    The run is FINISHED at the end of the block, KILLED where it is interrupted or pruned, FAILED after an
    exception. Errors: InputError, StoreError, with no run left behind.
    """
    again, client = Again.asked(), trials.current()
    if client is None:
        _end_in_one_line()
    with _stopping(client):
        if name is not None and not isinstance(name, str):
            raise InputError(f"runback.start: name must be a text; got {name!r:.100}")
        objectives = directed(objective, direction, "runback.start")
        refuse_other_direction(objectives, is_given=direction is not None)
        spec = _spec(config, name, again, client)
        refuse_param_names(config_params(spec))
        task = started_task(_count(spec), spec, program_here(client))
        ended: SystemExit | None = None
        with _recorded(spec, task, swept_objectives(objectives), client, again) as run:
            try:
                yield run
            except SystemExit as end:
                if end.code not in (None, 0):
                    raise
                ended = end  # as the block's last line would
        if again is None and client is None:
            say(f"run {run.id}")
    if ended is not None:
        raise ended
    if again is not None and not again.is_resumed:
        raise SystemExit(0)  # what the script does besides is no part of the run


@contextlib.contextmanager
def _recorded(
    spec: RunSpec,
    task: dict[str, str],
    objectives: Any,
    client: TrialClient | None,
    again: Again | None,
) -> Iterator[Run]:
    """Record a new run, the trial's, or one that is done again."""
    with contextlib.ExitStack() as ends:
        context = RunContext(task, objectives, client)
        line = None
        if again is not None:
            line = ends.enter_context(contextlib.closing(again.line()))
            context = ends.enter_context(_again(context, again, spec, line.on_record))
        elif client is not None and client.trial.previous_run_id is not None:
            held = continued(spec.folder, client.trial, spec.layout)
            continuation, tags = ends.enter_context(held)
            if continuation is not None:
                reopened = continuation.run
                context = RunContext(
                    task, objectives, client, lambda: reopened, continuation.checkpoint, tags=tags
                )
            else:
                context = RunContext(task, objectives, client, tags=tags)
        else:
            ends.enter_context(fresh_folder(spec.folder, is_own=client is None))
        with recorded_run(spec, context) as run:
            yield run
            trained = run.complete()
        if line is not None:
            line.send({"trained": {"run_id": trained.run_id, "result": trained.result}})
        discard(spec.folder)


@contextlib.contextmanager
def _again(context: RunContext, again: Again, spec: RunSpec, on_record: Any) -> Iterator[RunContext]:
    """Hold the folder of a run that is done again, and return its circumstances."""
    task, objectives = context.task, context.objectives
    if again.is_resumed:
        with unfinished(again.run, spec.layout) as one:
            reopened = lambda: one.reopened().run  # noqa: E731
            yield RunContext(task, objectives, None, reopened, one.checkpoint, on_record=on_record)
        return
    with fresh_folder(spec.folder):
        yield RunContext(task, objectives, last_epoch=again.last_epoch, tags=again.tags, on_record=on_record)


def _spec(config: Any, name: str | None, again: Again | None, client: TrialClient | None) -> RunSpec:
    """Return the run's description. Errors: InputError."""
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    layout = Layout(project_root(None if hydra is None else Path(hydra.runtime.cwd)))
    check_writable(layout)
    program = program_here(client)
    stem = "runback" if program is None else program.name
    threads = None if again is None else again.threads
    cfg = given_config(config, _experiment(hydra, stem), threads)
    arguments = [] if program is None else arguments_here(program, hydra)
    output = None if hydra is None else Path(hydra.runtime.output_dir)
    choices = {} if hydra is None else {str(key): str(one) for key, one in hydra.runtime.choices.items()}
    if again is not None:
        named = again.name
    elif client is not None:
        named = client.trial.label.name
    else:
        named = name or _name(stem, cfg, arguments)
    return task_spec(
        cfg,
        share=available_cores() if client is None else client.trial.threads,
        name=named,
        choices={group: one for group, one in choices.items() if not group.startswith("hydra/")},
        overrides=arguments,
        folder=_folder(output, again, client, layout),
        layout=layout,
        output=output,
    )


def _experiment(hydra: Any, stem: str) -> str:
    """Return the default experiment: a sweep's trials are where the sweep's own run is."""
    if hydra is None:
        return stem
    swept = OmegaConf.select(hydra, "sweeper.experiment")
    return str(swept) if trials.current() is not None and swept is not None else str(hydra.job.name)


def _folder(output: Path | None, again: Again | None, client: TrialClient | None, layout: Layout) -> Path:
    """Return where the run keeps what goes on with it: in mlruns/, where commands find it, or its trial's."""
    if again is not None:
        return Path(again.folder)
    if client is not None:
        return client.trial.folder
    if output is not None and output.is_relative_to(layout.runs) and str(output) not in _begun:
        return output
    return layout.runs / f"{datetime.now():%Y-%m-%d_%H-%M-%S_%f}"


def _count(spec: RunSpec) -> int:
    """Count the runs that this process has started in one Hydra job. InputError for a trial's second."""
    job = str(spec.output or "")
    _begun[job] = _begun.get(job, 0) + 1
    if trials.current() is not None and _begun[job] > 1:
        raise InputError("a trial of a sweep is one run: runback.start is called twice in it")
    return _begun[job]


def _name(stem: str, cfg: DictConfig, arguments: Sequence[str]) -> str:
    """Name a run after its program and the numbers asked for."""
    asked = {one.lstrip("+-").partition("=")[0] for one in arguments}
    numbers = {
        key: float(value)
        for key, value in flatten(OmegaConf.to_container(cfg))
        if key in asked and isinstance(value, int | float) and not isinstance(value, bool)
    }
    return run_name({"task": stem, **numbers})


@contextlib.contextmanager
def _stopping(client: TrialClient | None) -> Iterator[None]:
    """Turn the signals that nobody handles into Stopped, and let output that is lost end nothing."""
    with contextlib.ExitStack() as ends:
        if client is None:
            ends.enter_context(lasting_output())
            free = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) == signal.SIG_DFL]
            if free and threading.current_thread() is threading.main_thread():
                ends.enter_context(stop_on_signals(*free))
        yield


def _end_in_one_line() -> None:
    """Let a script end of runback's errors with one line and their exit code, where nobody catches them."""
    if not isinstance(sys.excepthook, _LastWords):
        sys.excepthook = _LastWords(sys.excepthook)


@dataclass(frozen=True)
class _LastWords:
    """An exception hook that says runback's errors, and an interrupt, in one line."""

    others: Any

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Print what ends the process, and end it with the exit code."""
        if not isinstance(error, RunbackError | Stopped | KeyboardInterrupt):
            self.others(kind, error, trace)
            return

        def fail() -> int:
            raise error

        sys.exit(exit_code(fail))
