"""Records one training: its record before the first epoch, its curves, its result at the end.

Importing it imports TensorFlow and MLflow, which takes seconds.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from runback.classifier.augmentation.preview import preview_sheet
from runback.classifier.build import Prepared
from runback.classifier.record import data_summary, run_description, run_params, run_record, run_tags
from runback.classifier.train_config import TrainingSpec
from runback.classifier.training.predictions import ValidationPredictions
from runback.classifier.training.progress import TrainingProgress
from runback.errors import TrialPruned
from runback.provenance.fingerprint import array_hash, tensor_hashes
from runback.runs.continuation import Continuation
from runback.runs.epoch_results import epoch_results
from runback.runs.live.record_files import run_files
from runback.runs.live.recorded_code import RecordedCode, code_here
from runback.runs.schema import (
    AUGMENTATION,
    CURVES,
    RESULT,
    RESULT_FORMAT,
    RunRecord,
    RunResult,
    write_result,
)
from runback.sweeping.trials.trial import STORE_PATIENCE, TrialClient
from runback.system import signing_key
from runback.system.text.escape import for_markdown
from runback.system.text.lasting_output import output_troubles
from runback.system.text.terminal import say
from runback.tracking.metric_names import BEST_EPOCH, best
from runback.tracking.store import open_store
from runback.tracking.tags import SIGNATURE_TAG
from runback.tracking.write.outbox import say_what_waits
from runback.tracking.write.run_writer import RunWriter, recording, start_run
from runback.tracking.write.system_metrics import system_metrics

if TYPE_CHECKING:
    import keras

PREVIEWED = 8
"""Training images on the preview sheet of an augmentation."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedNetwork:
    """A finished training."""

    run_id: str
    metrics: Mapping[str, float]
    """The metrics of the epoch whose weights were kept, and `parameters`."""
    values: tuple[float, ...]
    """The values of the objectives."""
    result: RunResult


@contextlib.contextmanager
def recorded_training(
    spec: TrainingSpec,
    client: TrialClient | None,
    continuation: Continuation | None,
    tags: Mapping[str, str],
    stream: TextIO | None,
) -> Iterator["Recording"]:
    """Record the training in this block, in a new run with these tags too, or in that of `continuation`.

    The run's status stays true, however the block ends, and one that is pruned gets its result. Progress goes
    to `stream`, by default stdout.
    """
    with contextlib.ExitStack() as ends:
        ends.callback(say_what_waits, [spec.folder])
        code = ends.enter_context(ThreadPoolExecutor(1)).submit(code_here, spec.layout.root)  # git takes long
        yield Recording(spec, client, continuation, tags, stream, code, ends)


class Recording:
    """The run of one training: `begin`, `watch` the model, report each `epoch` and `batch`, `complete`."""

    _prepared: Prepared
    _run: RunWriter
    _progress: TrainingProgress
    _predictions: ValidationPredictions

    def __init__(
        self,
        spec: TrainingSpec,
        client: TrialClient | None,
        continuation: Continuation | None,
        tags: Mapping[str, str],
        stream: TextIO | None,
        code: Future[RecordedCode],
        ends: contextlib.ExitStack,
    ) -> None:
        checkpoint = continuation.checkpoint if continuation else None
        self._spec, self._client, self._continuation = spec, client, continuation
        self._tags, self._stream, self._code, self._ends = tags, stream, code, ends
        self._history: list[Mapping[str, float]] = list(checkpoint.history) if checkpoint else []

    def begin(self, prepared: Prepared) -> None:
        """Start the run, or go on with it, and log what it is made from. Errors: StoreError."""
        spec, code = self._spec, self._code.result()
        record = run_record(spec, prepared.train, prepared.validation, code, prepared.notes)
        self._prepared = prepared
        notes = (f"  note: {note}" for note in prepared.notes)
        say(*notes, *code.notices, stream=self._stream)
        self._run = self._continuation.run if self._continuation else self._start(record)
        self._ends.enter_context(recording(self._run))
        self._ends.enter_context(system_metrics(self._run))
        n_train, done = len(prepared.train.labels), len(self._history)
        progress = TrainingProgress(spec.options.epochs, n_train, self._stream, initial_epoch=done)
        self._progress = self._ends.enter_context(progress)
        if self._continuation is None:
            self._log_record(record, code)

    def _start(self, record: RunRecord) -> RunWriter:
        """Start the MLflow run: a trial's is a child of the sweep's, and waits for a store that is away."""
        spec, client = self._spec, self._client
        trial = None if client is None else client.trial
        run = start_run(
            open_store(spec.layout, is_prepared=trial is not None and trial.parent is not None),
            experiment=spec.experiment,
            name=spec.name,
            folder=spec.folder,
            params=run_params(spec, self._prepared),
            tags={**run_tags(spec, record, trial), **self._tags},
            description=self._description(),
            parent=None if trial is None else trial.parent,
            patience=0.0 if trial is None else STORE_PATIENCE,
        )
        if client is not None:
            client.records(run.id)
        return run

    def _log_record(self, record: RunRecord, code: RecordedCode) -> None:
        """Log the record, signed, and a preview of augmentation; warn of what the record lacks."""
        files = run_files(self._spec, record, code)
        for name, content in files.items():  # the record last: it says that all are there
            self._run.log_bytes(content, name)
        self._run.log_inputs(record["data"])
        signature = signing_key.signature(files)
        if signature is not None:
            self._run.set_tags({SIGNATURE_TAG: signature})
        code.warn()
        if self._spec.written.left_out:
            _logger.warning(
                "secrets are left out of the record, which cannot be trained again: %s; write ${oc.env:NAME} "
                "for them and set the variable NAME",
                ", ".join(self._spec.written.left_out),
            )
        if self._prepared.augmentation is not None:
            images = self._prepared.train.images[:PREVIEWED]
            self._run.log_image(preview_sheet(self._prepared.augmentation, images), AUGMENTATION)

    @contextlib.contextmanager
    def watch(self, model: "keras.Model") -> Iterator[None]:
        """Keep the predictions of this compiled model's validations; log the result where it is pruned."""
        batch_size = self._spec.options.batch_size
        prepared = self._prepared
        self._predictions = ValidationPredictions(model, prepared.validation, batch_size, prepared.criterion)
        try:
            with self._predictions.keeping():
                yield
        except TrialPruned:
            self.log_result(finished=False)
            raise

    def epoch(self, step: int, metrics: dict[str, float]) -> None:
        """Log and show an epoch's metrics, counted from 1; a trial reports its objective. TrialPruned."""
        self._history.append(metrics)
        self._run.log_epoch(step, metrics)
        self._progress.epoch(step, metrics)
        objectives = self._spec.options.objectives
        if self._client is not None and len(objectives) == 1 and objectives[0] in metrics:
            self._client.report(metrics[objectives[0]], step)

    def batch(self, step: int, images_done: int, metrics: dict[str, float]) -> None:
        """Show how far epoch `step` is."""
        self._progress.batch(step, images_done, metrics)

    def log_result(self, *, finished: bool) -> RunResult:
        """Log, and return, what the same training has to give again; `finished` if it ended by itself."""
        variables = enumerate(self._prepared.network.weights)
        weights = {f"{number:03d} {variable.path}": variable.numpy() for number, variable in variables}
        result: RunResult = {
            "format": RESULT_FORMAT,
            "epochs": epoch_results(self._history),
            "weights": tensor_hashes(weights),
            "predictions": array_hash(self._predictions.current()),
            "finished": finished,
        }
        self._run.log_bytes(write_result(result), RESULT)
        return result

    def complete(self, metrics: Mapping[str, float], kept_epoch: int, *, finished: bool) -> TrainedNetwork:
        """Log result, curves and network of a training, which has the weights of the kept epoch.

        `metrics` are that epoch's; see `log_result`.
        """
        from runback.classifier.training.curves_figure import plot_curves
        from runback.tracking.write.network_artifacts import log_network

        network = self._prepared.network
        result = self.log_result(finished=finished)
        self._run.log_figure(plot_curves([dict(metrics) for metrics in self._history]), CURVES)
        log_network(self._run, network, self._prepared.train.class_names)
        metrics = {**metrics, "parameters": float(network.count_params())}
        objectives = self._spec.options.objectives
        values = tuple(metrics[name] for name in objectives)
        kept = {best(name): value for name, value in zip(objectives, values, strict=True)}
        self._run.log_metrics({BEST_EPOCH: float(kept_epoch), **kept})
        self._run.describe(self._note(kept, kept_epoch))
        if self._client is not None:
            self._client.completed(values)
        return TrainedNetwork(self._run.id, metrics, values, result)

    def _note(self, kept: Mapping[str, float], kept_epoch: int) -> str:
        """Return the run's description with what was kept, and what of the output could not be written."""
        results = ", ".join(f"{name} **{value:.6g}**" for name, value in kept.items())
        which = "the last" if kept_epoch == len(self._history) else f"the best of {len(self._history)}"
        parts = [f"Kept: the weights of epoch {kept_epoch}, {which}. {results}", *output_troubles()]
        return self._description(*parts)

    def _description(self, *parts: str) -> str:
        """Return the run's description, with these parts before what may be long."""
        spec, prepared = self._spec, self._prepared
        notices = [for_markdown(one.strip()) for one in self._code.result().notices]
        data = data_summary(spec, prepared.train, prepared.validation, prepared.notes).markdown()
        return "\n\n".join([run_description(spec, prepared), *parts, *notices, data])
