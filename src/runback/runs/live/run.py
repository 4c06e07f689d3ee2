"""The run that a task is given: what it trains on, its curves, its checkpoints and its result.

Nothing of MLflow is imported before the first thing is recorded.
"""

import contextlib
import json
import logging
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from runback.errors import DiskFull, InputError, TrainingError, TrialPruned
from runback.provenance.config_hash import text_hash
from runback.runs.checkpoint import Checkpoint, discard, save
from runback.runs.epoch_results import epoch_results
from runback.runs.live.own_artifacts import own_artifact
from runback.runs.live.random_internals import noticing_unseeded
from runback.runs.live.record_files import run_files
from runback.runs.live.recorded_code import RecordedCode, code_here
from runback.runs.live.run_data import Fingerprint, as_array, fingerprints
from runback.runs.live.run_record import config_params, record_tags, task_record
from runback.runs.live.run_spec import RunSpec
from runback.runs.live.run_state import packed, unpacked
from runback.runs.live.seeds import generator_hashes, generator_states, restore_generators, seed_imported
from runback.runs.objectives import higher_is_better
from runback.runs.schema import RESULT, RESULT_FORMAT, RunRecord, RunResult, write_result
from runback.sweeping.study.objective_value import number, values
from runback.sweeping.trials.trial import STORE_PATIENCE, TrialClient
from runback.system import signing_key
from runback.system.files.full_disk import is_full
from runback.system.text.terminal import say
from runback.tracking.metric_names import BEST_EPOCH, best
from runback.tracking.mlflow_limits import refuse_param_names
from runback.tracking.objective_tags import objective_tags
from runback.tracking.tags import SIGNATURE_TAG

if TYPE_CHECKING:
    from runback.tracking.write.run_writer import RunWriter

_logger = logging.getLogger(__name__)

MODES = {"maximize": "max", "minimize": "min"}

STATE = "state"
"""The group of a checkpoint's variables that a task's own state is in."""

LAST_STEP = 100_000
"""The highest step of a run's curves, which is the most epochs that a result is read with."""


@dataclass(frozen=True)
class RunContext:
    """The circumstances of a run: its task, its sweep, and what it goes on from."""

    task: Mapping[str, str]
    """The name by which the task is started again."""
    objectives: Mapping[str, str] = field(default_factory=dict)
    """The metrics that it is judged by, and the better direction of each; empty: none is known by name."""
    client: TrialClient | None = None
    """The trial that it is; None outside a sweep."""
    reopened: "Callable[[], RunWriter] | None" = None
    """Opens the run in MLflow again that an earlier process began; None: this one begins it."""
    checkpoint: Checkpoint | None = None
    """Where that goes on; None: at its beginning."""
    last_epoch: int | None = None
    """The epoch after which it ends as if it had been stopped there; None: it ends by itself."""
    tags: Mapping[str, str] = field(default_factory=dict)
    on_record: Callable[[RunRecord], None] | None = None
    """Called with the record before the run begins, and before anything is printed; may raise to keep it from
    that."""
    stream: TextIO | None = None
    """Where progress is printed; None: stdout."""


class Run:
    """One training that is being recorded; `runback.task` and `runback.start` give it to a script."""

    def __init__(self, spec: RunSpec, context: RunContext, ends: contextlib.ExitStack) -> None:
        self._spec, self._context, self._ends = spec, context, ends
        self._writer: RunWriter | None = None
        self._data: list[Fingerprint] = []
        self._data_names: set[str] = set()  # of what it was given, each made of one part or several
        self._seeded: set[str] = set()
        self._hashes: dict[str, str] = {}
        self._predictions: str | None = None
        self._claimed: str | None = None
        self._facts: dict[str, Any] = {}
        self._params: dict[str, object] = {}
        self._tags: dict[str, str] = {}
        self._description: str | None = None
        self._kept: int | None = None
        self._at_end: list[Callable[[], None]] = []
        self._lock = threading.RLock()  # a training may log from several threads
        self._process = os.getpid()
        self._is_over = False
        self._trace: dict[str, dict[str, str]] = {}
        self._unseeded: list[str] = []
        self._held: list[str] | None = None if context.on_record is None else []
        ends.enter_context(noticing_unseeded(spec.layout.root, self._unseeded))
        self._epoch: int | None = None
        self._n_epochs: int | None = None
        self._start = start = context.checkpoint
        self._history: list[dict[str, float]] = [] if start is None else [dict(row) for row in start.history]
        self._restored_at = len(self._history)
        self._code: Future[RecordedCode] = ends.enter_context(ThreadPoolExecutor(1)).submit(
            code_here, spec.layout.root
        )
        self._seed()

    @property
    def id(self) -> str:
        """Its ID in MLflow; asking for it begins the run."""
        return (self._writer or self._begun()).id

    @property
    def name(self) -> str:
        """Its name, for a person."""
        return self._spec.name

    @property
    def folder(self) -> Path:
        """The folder of its output."""
        return self._spec.output or self._spec.folder

    @property
    def seed(self) -> int:
        """The seed; asking for it seeds what has been imported since the run began."""
        self._seed()
        return self._spec.seed

    @property
    def params(self) -> Mapping[str, Any]:
        """The whole config, by key."""
        return self._spec.config

    @property
    def trial(self) -> int | None:
        """The trial's number in its sweep; None outside one."""
        client = self._context.client
        return None if client is None else client.trial.number

    @property
    def choices(self) -> Mapping[str, str]:
        """The choice in each config group."""
        return self._spec.choices

    @property
    def threads(self) -> int:
        """The number of CPU threads that it trains with."""
        return self._spec.threads

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self._spec.layout.root

    @property
    def cache(self) -> Path:
        """A folder for what is read from data once and may be made again; it may not exist yet."""
        return self._spec.layout.data

    @property
    def start(self) -> Checkpoint | None:
        """The checkpoint that it goes on from, None: it begins."""
        return self._start

    @property
    def writer(self) -> "RunWriter":
        """The run in MLflow, for the library's own parts; asking for it begins the run."""
        return self._begun()

    @property
    def stream(self) -> TextIO | None:
        """Where progress is shown; None: on stdout."""
        return self._context.stream

    @property
    def notices(self) -> list[str]:
        """Lines that say that no code is recorded; none where some is."""
        return self._code.result().notices

    @property
    def epoch(self) -> int:
        """The number of completed epochs."""
        return len(self._history)

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """The metrics of each completed epoch, or other step, those before a resume included."""
        return self._history

    def say(self, *lines: str) -> None:
        """Print lines about the training where its progress is shown; a sweep prints them once, before it."""
        if self._held is not None:
            self._held += lines
        else:
            say(*lines, stream=self._context.stream)

    def record(self, **facts: Any) -> None:
        """Add facts, of JSON values, to the record of what the run is made from, before it begins."""
        self._facts |= facts

    def data(self, value: Any, name: str = "data") -> Any:
        """Fingerprint what the task trains on, and return it unchanged.

        `value` is an array, a tensor, a pandas frame, a path of a file or a folder, or a tuple, list or dict
        of them. The fingerprints are printed, and are part of the run's record. Errors: DataError for
        anything else; TrainingError once the first epoch has been recorded.
        """
        if self._writer is not None:
            raise TrainingError("run.data comes before the first epoch: the record is written then")
        self._refuse_ended()
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"run.data: name must be a text, as 'train'; got {name!r:.100}")
        self._seed()
        found = fingerprints(value, name)
        if not found:
            raise InputError(f"run.data was given nothing to look at: {name} is {value!r:.100}")
        before = {one.name for one in self._data}
        if name in self._data_names or any(one.name in before for one in found):
            raise InputError(f"run.data has {name!r} already: give it another name, run.data(…, name='test')")
        self._data_names.add(name)
        self._data += found
        self.say(*(one.line() for one in found))
        return value

    def epochs(self, n: int) -> Iterator[int]:
        """Yield the epochs that are left to train, 0 to `n - 1`, and count what `log` is given by them.

        A run that goes on from a checkpoint begins behind the epoch of that, with the global generators of
        Python, NumPy and PyTorch as they were. Behind a second loop's `n`, of a training in two phases, lie
        the epochs of the first. Errors: InputError where a `runback.keras.Callback` counts the epochs.
        """
        if not isinstance(n, int | np.integer) or isinstance(n, bool):
            raise InputError(f"run.epochs takes the number of epochs; got {n!r:.100}")
        if n < 0:
            raise InputError(f"run.epochs takes the number of epochs, at least 0; got {n}")
        self.claim("run.epochs, which counts them: log what each fit returns", once=False)
        return self._epochs(int(n))

    def _epochs(self, n: int) -> Iterator[int]:
        self.begin(epochs=n)
        if len(self._history) == self._restored_at:
            self.restore_generators()
        try:
            for epoch in range(len(self._history), n):
                if epoch == self._context.last_epoch:
                    return
                self._epoch = epoch
                yield epoch
                if len(self._history) == epoch:  # nothing was logged
                    self._history.append({})
                self.pause()  # without a checkpoint: it begins again, where it goes on
        finally:  # also where the loop was left by a break
            self._epoch = None
            self._keep_on()

    def begin(self, *, epochs: int | None = None) -> None:
        """Begin the run now, of so many epochs if that is known; `epochs`, `log` and others do it too."""
        self._n_epochs = epochs
        self._begun()
        client = self._context.client
        if client is not None and epochs is not None:
            client.has_epochs(epochs)

    @property
    def is_pausing(self) -> bool:
        """Whether its sweep wants it to pause: what keeps checkpoints keeps one, and calls `pause`."""
        client = self._context.client
        return client is not None and client.is_pausing

    def pause(self) -> None:
        """End the process of a run that is to pause; else this does nothing. Raises TrialPaused."""
        client = self._context.client
        if client is not None and client.is_pausing:
            client.pause()

    def _keep_on(self) -> None:
        """Let a training that is at its end come there; its sweep is asked again if it goes on after all."""
        if self._context.client is not None:
            self._context.client.is_pausing = False

    def claim(self, what: str, *, once: bool = True) -> None:
        """Say that one thing alone records this run's epochs, only once where that is said.

        Errors: InputError where another one does.
        """
        if self._claimed is not None and (once or self._claimed != what):
            raise InputError(f"the run has {self._claimed}")
        self._claimed = what

    def at_end(self, function: Callable[[], None]) -> None:
        """Have a function called before the result is recorded, also where the run is pruned."""
        self._at_end.append(function)

    def trace(self, when: str, facts: Mapping[str, str]) -> None:
        """Keep facts by which `reproduce` tells what of a training came out differently first.

        `when` is begin, before the first epoch, or end; the facts are hashes of what stood so then.
        """
        self._trace.setdefault(when, {}).update(facts)

    @property
    def last_epoch(self) -> int | None:
        """The epoch after which the run is to end before its time; None: it ends by itself."""
        return self._context.last_epoch

    def restore_generators(self) -> None:
        """Put the global generators of Python, NumPy and PyTorch where the run's checkpoint was made."""
        if self._start is not None and self._start.state is not None:
            restore_generators(self._state()["generators"])

    def log(
        self,
        metrics: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | None = None,
        show: bool = True,
        **named: Any,
    ) -> None:
        """Record metrics, durably, before it returns; in a sweep the objective among them is reported.

        Within `epochs` they are the epoch's, elsewhere those of the next step, or of `step`, counted from 1.
        Values are numbers, or arrays and tensors without dimensions; `show` prints them. Errors:
        TrainingError for anything else. Raises TrialPruned where the sweep's pruner ends the trial: let it
        propagate.
        """
        if metrics is not None and not isinstance(metrics, Mapping):
            raise TrainingError(
                f"run.log takes a mapping, or names, as run.log(loss=0.5); got {metrics!r:.100}"
            )
        measured = _measured({**(metrics or {}), **named})
        with self._lock:
            at = self._step(step)
            if at > len(self._history) and self.is_pausing:
                self.say(
                    "note: the sweep pauses this trial, which has trained since it last logged: what follows "
                    "run.log is lost; run.epochs and run.checkpoint pause in time"
                )
                self.pause()
            writer = self._begun()
            while len(self._history) < at:
                self._history.append({})
            self._history[at - 1] |= measured
            with writer.logging_epoch(at, measured):
                if show:
                    self._show(at, measured)
                client, objectives = self._context.client, [*self._context.objectives]
                if client is not None and len(objectives) == 1 and objectives[0] in measured:
                    client.report(measured[objectives[0]], at)

    def checkpoint(self, state: Mapping[str, Any], *, is_last: bool = False) -> None:
        """Keep a state, from which the run goes on if it is stopped or killed, in the place of the last one.

        A state is made of arrays, tensors, numbers, texts, None, NumPy's generators, and mappings, lists and
        tuples of them; it is in the run's folder, flushed to the disk, when this returns. The states of the
        global generators are kept too. Errors: TrainingError for a state of anything else; DiskFull. Raises
        TrialPaused where the sweep pauses the trial, unless the training ends here, as `is_last` says: let it
        propagate.
        """
        if not isinstance(state, Mapping):
            raise TrainingError(f"run.checkpoint keeps a mapping, as {{'w': w}}; got {type(state).__name__}")
        with self._lock:
            self._begun()
            tree, arrays = packed({"task": state, "generators": generator_states()})
            checkpoint = Checkpoint(len(self._history), 0, list(self._history), {STATE: arrays}, state=tree)
            save_checkpoint(self._spec.folder, checkpoint)
            if is_last:
                self._keep_on()
            self.pause()

    @property
    def state(self) -> Mapping[str, Any]:
        """The state of the checkpoint that the run goes on from; empty where it begins."""
        if self._start is None or self._start.state is None:
            return {}
        return self._state()["task"]  # type: ignore[no-any-return]

    def result(self, **arrays: Any) -> None:
        """Say what the same training has to give again: `weights`, `predictions` or what else it has made.

        Each is an array, a tensor or a mapping, list or tuple of them; what is recorded is their hashes.
        """
        self._begun()
        for name, value in arrays.items():
            hashes = {one.name: one.sha256 for one in fingerprints(value, name)}
            if name == "predictions" and [*hashes] == ["predictions"]:
                self._predictions = hashes["predictions"]
            else:
                self._hashes |= {key.removeprefix("weights."): hash_ for key, hash_ in hashes.items()}

    def best(self, metric: str, mode: str | None = None) -> float:
        """Return the best value of a metric so far; `mode` is max or min, by default what its name says.

        Names with accuracy, auc, f1, precision, recall, r2, iou or score in them are better when higher,
        others when lower. Errors: TrainingError where nothing was logged by that name.
        """
        found = self._values(metric)
        if not found:
            raise TrainingError(f"run.best({metric!r}): nothing was logged by that name")
        return (max if self._is_max(metric, mode) else min)(found.values())

    def keep(self, epoch: int) -> None:
        """Say which epoch's result the task returns, counted from 1; by default the one with that value."""
        self._kept = epoch

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log params besides the config's, as sizes that follow from it.

        Before the run begins they take the place of the config's. Errors: InputError for a name that MLflow
        does not take, and for another value of a param of a run that has begun.
        """
        self._refuse_ended()
        _refuse_names(params, "run.log_params")
        before = {} if self._writer is None else {**config_params(self._spec), **self._params}
        for name, value in params.items():
            if str(before.get(name, value)) != str(value):
                raise InputError(
                    f"run.log_params: {name} is {before[name]!r:.100} in this run; got {value!r:.100}: "
                    "choose another name"
                )
        self._params |= params
        if self._writer is not None:
            self._writer.log_params(params)

    def describe(self, markdown: str) -> None:
        """Replace the run's description in MLflow."""
        self._refuse_ended()
        self._description = markdown
        if self._writer is not None:
            self._writer.describe(markdown)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags on the run in MLflow. Errors: InputError for names that it takes no tag by."""
        self._refuse_ended()
        _refuse_names(tags, "run.set_tags")
        self._tags |= {name: str(value) for name, value in tags.items()}
        if self._writer is not None:
            self._writer.set_tags(self._tags)

    def log_artifact(self, path: str | Path, folder: str | None = None) -> None:
        """Store a file as an artifact, under its own name, in a folder of the run's artifacts.

        Errors: InputError for what is no file, and a name of the run's own record, here and below.
        """
        if not isinstance(path, str | os.PathLike) or not Path(path).is_file():
            raise InputError(f"run.log_artifact: there is no file {str(path)!a:.300}")
        name = own_artifact(f"{folder or '.'}/{Path(path).name}")
        self._begun().log_file(Path(path), str(PurePosixPath(name).parent))

    def log_text(self, text: str, artifact: str) -> None:
        """Store a text as an artifact."""
        if not isinstance(text, str):
            raise InputError(f"run.log_text stores a text; got a {type(text).__name__}: write str(…)")
        name = own_artifact(artifact)
        self._begun().log_text(text, name)

    def log_model(
        self, model: Any, name: str = "model", *, flavor: str | None = None, **options: Any
    ) -> None:
        """Store a trained model as an MLflow model of this run; of one name the last one stays.

        Keras' models and scikit-learn's are known; of others `flavor` names the module of MLflow that saves
        them, as xgboost, which gets the `options` too. Keras' are stored without code, as model.keras, and
        scikit-learn's in skops' format: neither is a pickle. Errors: InputError for what cannot be stored.
        """
        from runback.tracking.write.model_flavors import log_model

        log_model(self._begun(), model, name, flavor, options)

    def log_figure(self, figure: Any, artifact: str) -> None:
        """Store a matplotlib figure as an artifact; the ending (.png, .svg) decides on the format.

        Errors: InputError for what is none.
        """
        name = own_artifact(artifact)
        if not callable(getattr(figure, "savefig", None)):
            raise InputError(f"run.log_figure stores a matplotlib Figure; got a {type(figure).__name__}")
        self._begun().log_figure(figure, name)

    def log_image(self, image: Any, artifact: str) -> None:
        """Store a PIL image as an artifact. Errors: InputError for what is none."""
        name = own_artifact(artifact)
        if not callable(getattr(image, "save", None)):
            raise InputError(
                f"run.log_image stores a PIL image; got a {type(image).__name__}: write "
                "PIL.Image.fromarray(…) around an array of bytes"
            )
        self._begun().log_image(image, name)

    def _seed(self) -> None:
        self.say(*seed_imported(self._spec.seed, self._spec.threads, self._seeded))

    def _state(self) -> Mapping[str, Any]:
        assert self._start is not None  # noqa: S101 - its callers have looked
        return unpacked(self._start.state, self._start.variables.get(STATE, []))  # type: ignore[no-any-return]

    def _step(self, step: int | None) -> int:
        if step is not None:
            if not isinstance(step, int | np.integer) or isinstance(step, bool) or not 1 <= step <= LAST_STEP:
                raise TrainingError(f"run.log: step counts from 1 to {LAST_STEP:,}; got {step!r:.100}")
            return int(step)
        following = len(self._history) + 1 if self._epoch is None else self._epoch + 1
        if following > LAST_STEP:
            raise TrainingError(f"run.log: a run has {LAST_STEP:,} steps at most: log every tenth, or fewer")
        return following

    def _values(self, metric: str) -> dict[int, float]:
        """Return a metric's values by epoch, without those that are no number."""
        rows = {at: row[metric] for at, row in enumerate(self._history, 1) if metric in row}
        return {at: value for at, value in rows.items() if not math.isnan(value)}

    def _is_max(self, metric: str, mode: str | None) -> bool:
        if mode not in (None, "max", "min"):
            raise TrainingError(f"run.best: mode must be max or min; got {mode!r}")
        return higher_is_better(metric) if mode is None else mode == "max"

    def _show(self, step: int, metrics: Mapping[str, float]) -> None:
        of = f"/{self._n_epochs}" if self._n_epochs else ""
        text = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        say(f"epoch {step}{of}  {text}", stream=self._context.stream)

    def _begun(self) -> "RunWriter":
        """Return the run in MLflow, which begins with this: what it is made from is recorded."""
        self._refuse_ended()
        with self._lock:
            if self._writer is None:
                self._writer = self._begin()
            return self._writer

    def _refuse_ended(self) -> None:
        if os.getpid() != self._process:
            raise TrainingError("a process that a training has forked cannot record in its run")
        if self._is_over:
            raise TrainingError("the run has ended: nothing is recorded in it any more")

    def _begin(self) -> "RunWriter":
        from runback.tracking.write.run_writer import recording
        from runback.tracking.write.system_metrics import system_metrics

        self._seed()
        self.trace("begin", generator_hashes())
        code, context = self._code.result(), self._context
        record = task_record(self._spec, context.task, self._data, code, self._facts)
        if context.on_record is not None:
            context.on_record(record)
        held, self._held = self._held, None
        self.say(*held or ())
        self.say(*code.notices, *map(_unseeded, self._unseeded))
        writer = self._created(record) if context.reopened is None else context.reopened()
        if context.client is not None:
            context.client.records(writer.id)
        self._ends.enter_context(recording(writer))
        self._ends.enter_context(system_metrics(writer))
        if context.reopened is None:
            self._log_record(writer, record, code)
        return writer

    def _created(self, record: RunRecord) -> "RunWriter":
        from runback.tracking.store import open_store
        from runback.tracking.write.run_writer import start_run

        client = self._context.client
        trial = None if client is None else client.trial
        return start_run(
            open_store(self._spec.layout, is_prepared=trial is not None and trial.parent is not None),
            experiment=self._spec.experiment,
            name=self._spec.name,
            folder=self._spec.folder,
            params={**config_params(self._spec), **self._params},
            tags={
                **record_tags(self._spec, record, trial),
                **objective_tags(self._context.objectives),
                **self._tags,
                **self._context.tags,
            },
            description=self._described() if self._description is None else self._description,
            parent=None if trial is None else trial.parent,
            patience=0.0 if trial is None else STORE_PATIENCE,
        )

    def _described(self) -> str:
        name = self._context.task.get("name", "task")
        data = "\n".join(f"- {one.line().strip()}" for one in self._data)
        return f"Task **{name}**." + (f"\n\nTrained on:\n{data}" if data else "")

    def _log_record(self, writer: "RunWriter", record: RunRecord, code: RecordedCode) -> None:
        files = run_files(self._spec, record, code)
        with writer.in_background():  # from the outbox, in which all are before the first epoch
            for name, content in files.items():  # the record last: it says that all are there
                writer.log_bytes(content, name)
            writer.log_inputs(record["data"])
            signature = signing_key.signature(files)
            if signature is not None:
                writer.set_tags({SIGNATURE_TAG: signature})
        code.warn()
        if self._spec.written.left_out:
            _logger.warning(
                "secrets are left out of the record, which cannot be trained again: %s; write ${oc.env:NAME} "
                "for them and set the variable NAME",
                ", ".join(self._spec.written.left_out),
            )

    def _end(self) -> None:
        """Record nothing from now on."""
        self._is_over = True

    def _log_result(self, *, finished: bool) -> RunResult:
        for function in self._at_end:
            function()
        self.trace("end", generator_hashes())
        self._trace["unseeded"] = dict.fromkeys(self._unseeded, "")
        result: RunResult = {
            "format": RESULT_FORMAT,
            "epochs": epoch_results(self._history),
            "weights": self._hashes or None,
            "predictions": self._predictions,
            "finished": finished,
            "trace": self._trace,
        }
        self._begun().log_bytes(write_result(result), RESULT)
        return result

    def complete(self, returned: Sequence[float] | None = None) -> "Trained":
        """Record the end: `returned` are the objectives' values; None: the best of each that was logged.

        Errors: TrainingError for too few values, or an objective that was never logged.
        """
        result = self._log_result(finished=self._context.last_epoch is None)
        found = self._bests() if returned is None else self._named(returned)
        writer = self._begun()
        if found:
            name, first = next(iter(found.items()))
            best_at = (at for at, value in self._values(name).items() if value == first)
            at = self._kept or next(best_at, None)
            kept = {best(name): value for name, value in found.items()}
            writer.log_metrics(kept if at is None else {BEST_EPOCH: float(at), **kept})
        if self._context.client is not None and returned is not None:
            self._context.client.completed(tuple(found.values()))
        return Trained(writer.id, tuple(found.values()), result)

    def _bests(self) -> dict[str, float]:
        objectives = self._context.objectives
        return {name: self.best(name, MODES[direction]) for name, direction in objectives.items()}

    def _named(self, found: Sequence[float]) -> dict[str, float]:
        """Return the values that a task has returned by their objectives' names. Errors: TrainingError."""
        names = [*self._context.objectives] or _names(len(found))
        if len(names) != len(found):
            raise TrainingError(
                f"the task returned {len(found)} values for the objectives {', '.join(names)}"
            )
        return dict(zip(names, found, strict=True))


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    run_id: str
    values: tuple[float, ...]
    """The values of the objectives."""
    result: RunResult


class FirstEpoch(BaseException):
    """A task that is only tried has come to its first epoch: it would train."""


class Rehearsal(Run):
    """A run that is not recorded: a task that comes to its first epoch with it has refused nothing."""

    def __init__(self, spec: RunSpec, ends: contextlib.ExitStack) -> None:
        self.lines: list[str] = []
        """What was said."""
        super().__init__(spec, RunContext({}), ends)

    def say(self, *lines: str) -> None:
        """Keep the lines."""
        self.lines += lines

    @property
    def data_hash(self) -> str | None:
        """The hash of the fingerprints of all data that it was given by now; None: of none."""
        recorded = self._facts.get("data", {})
        hashes = {one.name: one.sha256 for one in self._data}
        hashes |= {str(name): str(one["sha256"]) for name, one in recorded.items()}
        return text_hash(json.dumps(hashes, sort_keys=True)) if hashes else None

    def _begin(self) -> "RunWriter":
        raise FirstEpoch


def rehearse(function: Callable[[Run], Any], spec: RunSpec) -> list[str]:
    """Call a task's function up to its first epoch, and return the lines that it says before that."""
    return rehearsed(function, spec)[0]


def rehearsed(function: Callable[[Run], Any], spec: RunSpec) -> tuple[list[str], str | None]:
    """Return these lines, and the fingerprint of the data that the function has read; None: it read none."""
    with contextlib.ExitStack() as ends:
        run = Rehearsal(spec, ends)
        with contextlib.suppress(FirstEpoch):
            function(run)
        return [*run.lines, *run.notices], run.data_hash


def train(function: Callable[[Run], Any], spec: RunSpec, context: RunContext) -> Trained:
    """Call a task's function with a run, and record it to its end. The caller holds the run's folder.

    The run's status stays true, however the function ends; one that is pruned gets its result.
    """
    with recorded_run(spec, context) as run:
        try:
            returned = function(run)
        except SystemExit as end:
            if end.code not in (None, 0):
                raise
            raise TrainingError(
                "the task ended by sys.exit(), without its objective's value: return it"
            ) from end
        trained = run.complete(_values(returned))
    discard(spec.folder)
    return trained


@contextlib.contextmanager
def recorded_run(spec: RunSpec, context: RunContext) -> Iterator[Run]:
    """Give a run whose status stays true, however the block ends; in there it is completed."""
    from runback.tracking.write.outbox import say_what_waits

    with contextlib.ExitStack() as ends:
        ends.callback(say_what_waits, [spec.folder])
        run = Run(spec, context, ends)
        ends.callback(run._end)
        try:
            yield run
        except TrialPruned:
            run._log_result(finished=False)
            raise
        except InputError:
            raise  # before it has begun, it leaves no run behind
        except Exception:
            if context.client is None:  # a trial that fails before its run begins may be tried again
                run._begun()
            raise


def _values(returned: Any) -> tuple[float, ...]:
    """Return the values that a task has returned. Errors: TrainingError for what is none."""
    try:
        return values(returned)
    except TypeError as error:
        raise TrainingError(str(error)) from error


def _unseeded(place: str) -> str:
    return f"  note: {place} makes a generator without a seed: what it draws cannot come out again"


def _refuse_names(given: Any, what: str) -> None:
    """Raise InputError for what is no mapping, and for names that MLflow does not take."""
    if not isinstance(given, Mapping):
        raise InputError(f"{what} takes a mapping of names to values; got {given!r:.100}")
    for name in given:
        if not isinstance(name, str) or not name:
            raise InputError(f"{what}: a name must be a text; got {name!r:.100}")
    refuse_param_names(given, what)


def _measured(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return metrics as floats. Errors: TrainingError, which names the one that is no number."""
    measured = {}
    for name, value in metrics.items():
        if not isinstance(name, str) or not name:
            raise TrainingError(f"run.log: a metric's name must be a text; got {name!r:.100}")
        try:
            measured[name] = number(_plain(value))
        except (TypeError, OverflowError) as error:
            raise TrainingError(f"run.log: {name}: {error}") from error
    return measured


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; one that cannot be written is a warning. Errors: DiskFull."""
    try:
        save(folder, checkpoint)
    except OSError as error:
        if is_full(error):
            raise DiskFull(f"the disk is full: cannot write a checkpoint in {folder}") from error
        reason = error.strerror or error
        _logger.warning("cannot write the checkpoint of epoch %d in %s: %s", checkpoint.epoch, folder, reason)


def _names(count: int) -> list[str]:
    return ["objective"] if count == 1 else [f"objective_{index}" for index in range(count)]


def _plain(value: Any) -> Any:
    """Return a tensor without dimensions as NumPy's; anything else as it is."""
    if hasattr(value, "detach") or (
        hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic)
    ):
        array = as_array(value)
        return value if array is None else array
    return value
