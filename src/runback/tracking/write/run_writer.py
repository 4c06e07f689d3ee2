"""One run in MLflow, written through an explicit run ID: nothing here depends on an active run.

What is logged waits in the run's folder from the moment it is logged until its store has it (see `outbox`),
and a thread brings it there: a store that fails, hangs or is away neither stops nor slows a training.
"""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
import getpass
import json
import logging
import os
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from mlflow.exceptions import MlflowException
from mlflow.utils import mlflow_tags

from runback.errors import DiskFull, RunbackError, Stopped, StoreAway, StoreError, TrialPaused, TrialPruned
from runback.system.files.full_disk import is_full
from runback.system.text.excerpt import said
from runback.system.secrecy import redacted, redacted_excerpt, without_values
from runback.system.secrecy.config_secrets import masked
from runback.system.secrecy.secret_values import without_secret_values
from runback.tracking.write.background_delivery import BackgroundDelivery
from runback.tracking.write.pending_metrics import PendingMetrics
from runback.tracking.write.dataset_inputs import dataset_facts
from runback.tracking.write.delivery import END, deliver, send_end, send_params
from runback.tracking.mlflow_settings import one_try
from runback.tracking.write.logged_model import ABOUT, MODEL_NAME
from runback.tracking.upkeep.moved_artifacts import refuse_moved
from runback.tracking.write.outbox import Outbox
from runback.tracking.artifact_names import TRACEBACK
from runback.tracking.store import Store, experiment_id, patiently, store_errors
from runback.tracking.tags import FAILURE_TAG, REASON_TAG
from runback.tracking.mlflow_limits import PARAM_LIMIT, TAG_LIMIT, cut, first_line

Status = Literal["FINISHED", "FAILED", "KILLED", "SCHEDULED"]

SERVER_FINISH = 5.0
"""Seconds that the end of a run waits for a server that is away."""

MARGIN = 4_000
"""Characters after the limit of a text in which a secret may end that begins before it."""

LOCAL_FINISH = 60.0
"""Seconds that it waits for a local database that is locked."""

TRACEBACK_LIMIT = 20_000
"""Characters of a traceback: an exception's message may be as long as its data."""

_logger = logging.getLogger(__name__)


class RunWriter:
    """A run that exists in the store. `folder` is where what it logs waits until the store has it.

    With a folder nothing that the store does is raised here, but a full disk is, as DiskFull. Without one,
    nothing waits: everything is stored when its method returns, or that raises StoreError.
    """

    def __init__(self, store: Store, run_id: str, folder: Path | None = None) -> None:
        self.id = run_id
        self.store = store
        self._curves = PendingMetrics(store.client, run_id, folder)
        self._outbox = None if folder is None else Outbox(folder)
        self._delivery = BackgroundDelivery(self._deliver, self._say_away)
        self._refused: set[Path] = set()
        self._ended = False
        self._waits = True
        self._process = os.getpid()

    @property
    def last_step(self) -> int | None:
        """The highest step of the metrics logged so far; those of other processes count after a recovery."""
        return self._curves.last_step

    @property
    def is_behind(self) -> bool:
        """Whether something that was logged still waits for the store; curves do not count."""
        return self._outbox is not None and bool(self._outbox.entries())

    @contextlib.contextmanager
    def in_background(self) -> Iterator[None]:
        """Bring to the store what is logged in this block, curves excepted, without waiting for it."""
        self._waits = False
        try:
            yield
        finally:
            self._waits = True

    def experiment_id(self) -> str:
        """Return the ID of its experiment. Raises StoreError."""
        with store_errors(self.store, f"run {self.id}"):
            return str(self.store.client.get_run(self.id).info.experiment_id)

    def describe(self, markdown: str) -> None:
        """Replace the run's description; one longer than 8,000 characters is cut, visibly."""
        self.set_tags({mlflow_tags.MLFLOW_RUN_NOTE: markdown})

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log flat params by their dotted names; a value longer than 6,000 characters is cut, visibly."""
        with self._putting("params") as outbox:
            outbox.put("params", _texts(params, PARAM_LIMIT))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, replacing those that exist; a value longer than 8,000 characters is cut, visibly."""
        with self._putting("tags") as outbox:
            outbox.put("tags", _texts(tags, TAG_LIMIT))

    def log_inputs(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Log what a run trains on, by its record's `data`, as MLflow's datasets."""
        if data:
            with self._putting("inputs") as outbox:
                outbox.put("inputs", {"datasets": dataset_facts(data)})

    def log_epoch(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch; `step` counts completed epochs.

        They are in the folder's metrics.jsonl when this returns.
        """
        self.log_metrics(metrics, step)

    @contextlib.contextmanager
    def logging_epoch(self, step: int, metrics: Mapping[str, float]) -> Iterator[None]:
        """Log the metrics of an epoch, which go to the store while the block does something else.

        They are in the folder's metrics.jsonl when the block begins.
        """
        if self._outbox is None:
            self.log_metrics(metrics, step)
            yield
            return
        self._curves.add(step, metrics)
        self._delivery.order()
        yield
        self._delivery.bring()

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics that belong to no epoch."""
        self._curves.add(step, metrics)
        if self._outbox is None:
            self.deliver()
        else:
            self._delivery.bring()

    def log_sample(self, metrics: Mapping[str, float]) -> None:
        """Log system metrics, a step after those that there are, without waiting; nothing after the end."""
        if not self._ended:
            self._curves.add(self._curves.next_sample, metrics)
            self._delivery.order()

    def recover_metrics(self) -> None:
        """Store the metrics that only the folder's metrics.jsonl has.

        From then on logging a step again that either has changes nothing.
        """
        with store_errors(self.store, "metrics"):
            self._curves.recover()

    def deliver(self) -> None:
        """Send the metrics that still wait. Raises StoreError when the store is away."""
        with store_errors(self.store, "metrics"):
            self._curves.send()

    def log_text(self, text: str, artifact_file: str) -> None:
        """Store `text`, without secrets, as the artifact `artifact_file`."""
        is_for_people = not artifact_file.endswith((".html", ".json"))
        clean = redacted(text) if is_for_people else without_secret_values(text)
        self.log_bytes(clean.encode(errors="backslashreplace"), artifact_file)

    def log_bytes(self, content: bytes, artifact_file: str) -> None:
        """Store `content` as the artifact `artifact_file`."""
        with self._artifact(artifact_file) as file:
            file.write_bytes(content)

    def log_figure(self, figure: Any, artifact_file: str) -> None:
        """Store a matplotlib Figure as an artifact; the ending (.png, .svg) decides on the format."""
        with self._artifact(artifact_file) as file, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a class may be called by an emoji
            figure.savefig(file)

    def log_image(self, image: Any, artifact_file: str) -> None:
        """Store a PIL image as an artifact."""
        with self._artifact(artifact_file) as file:
            image.save(file)

    def log_file(self, path: Path, artifact_path: str | None = None) -> None:
        """Store a file under its own name, in the artifact folder `artifact_path` (default: the top)."""
        with self._artifact(str(PurePosixPath(artifact_path or "", path.name))) as file:
            shutil.copyfile(path, file)

    @contextlib.contextmanager
    def logging_model(self, name: str = MODEL_NAME) -> Iterator[Path]:
        """Give a path for an MLflow model's folder, which is the run's logged model when the body ends.

        One that the run has by this name is replaced.
        """
        with self._putting("the network") as outbox, outbox.putting("model") as folder:
            yield folder / MODEL_NAME
            (folder / ABOUT).write_text(json.dumps({"step": self.last_step or 0, "name": name}))

    def take_over(self) -> None:
        """Deliver what an earlier process of this run has left. Raises StoreAway."""
        if self._outbox is None:
            return
        self._outbox.open()
        self._outbox.belongs_to(self.id, str(self.store))
        _say(deliver(self.store, self.id, self._outbox, self._curves.recover))

    def finish(self, status: Status, reason: str | None = None) -> None:
        """End the run, once: what is called later changes nothing. Never raises.

        It waits a little for a store that is away; then the end waits in the folder.
        `reason` goes to the tag `runback.reason` (its first line).
        """
        if self._ended or os.getpid() != self._process:  # one that was forked meanwhile ends no run
            return
        self._ended = True
        end = {
            "status": status,
            "ended_at": int(time.time() * 1000),
            "reason": first_line(reason) if reason else None,
        }
        try:
            if self._outbox is None:
                self._end_directly(end)
            else:
                self._outbox.put(END, end)
        except OSError:  # the disk is full
            self._end_directly(end)
        self.close()

    def leave(self) -> None:
        """End nothing: other processes go on with the run. What is logged later changes nothing."""
        self._ended = True
        self.close()

    def close(self) -> None:
        """Wait a little until everything is delivered; what is not by then waits in the folder."""
        if self._outbox is None:
            return
        with contextlib.suppress(RunbackError):  # it has been told
            self._delivery.flush(SERVER_FINISH if self.store.is_server else LOCAL_FINISH)
        self._delivery.stop()
        self._outbox.make_room()
        with contextlib.suppress(OSError):
            self._outbox.close()

    def make_room(self) -> None:
        """Use the room that was kept for the end of a run that finds its disk full."""
        if self._outbox is not None:
            self._outbox.make_room()

    @contextlib.contextmanager
    def _putting(self, what: str) -> Iterator[Outbox]:
        """Give what to put things into, and have them brought when the body ends."""
        if self._outbox is not None:
            with _written(what):
                yield self._outbox
            (self._delivery.bring if self._waits else self._delivery.order)()
            return
        with tempfile.TemporaryDirectory(prefix="runback-") as folder:
            outbox = Outbox(Path(folder))
            with _written(what):
                yield outbox
            for trouble in deliver(self.store, self.id, outbox, self._curves.send):
                raise trouble

    @contextlib.contextmanager
    def _artifact(self, artifact_file: str) -> Iterator[Path]:
        with self._putting(artifact_file) as outbox, outbox.putting("artifact") as folder:
            file = folder / artifact_file
            file.parent.mkdir(parents=True, exist_ok=True)
            yield file

    def _deliver(self) -> None:
        """Deliver what waits, in the background's thread."""
        if self._outbox is not None:
            send, answered = self._curves.send, self._delivery.answered
            _say(deliver(self.store, self.id, self._outbox, send, answered, self._refused))

    def _say_away(self, away: StoreAway) -> None:
        where = None if self._outbox is None else self._outbox.folder
        _logger.warning(
            "the store is away; run %s goes on, what it records waits in %s: %s", self.id, where, away
        )

    def _end_directly(self, end: Mapping[str, Any]) -> None:
        try:
            with store_errors(self.store, "the run's end"):
                send_end(self.store.client, self.id, end)
        except RunbackError as error:
            _logger.warning("run %s ended as %s, its store does not know: %s", self.id, end["status"], error)


def start_run(
    store: Store,
    *,
    experiment: str,
    name: str,
    folder: Path,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    description: str,
    parent: str | None = None,
    patience: float = 0.0,
) -> RunWriter:
    """Create a run with its params and tags and return it, RUNNING. Leaves none behind when that fails.

    `folder` is created; `description` is Markdown; `parent` is the run ID under which the UI shows this one.
    A store that is away is waited for, for `patience` seconds. Raises StoreError, and InputError for an
    experiment that cannot be used.
    """
    own_tags = {
        mlflow_tags.MLFLOW_USER: _user(),
        mlflow_tags.MLFLOW_SOURCE_NAME: "runback",
        mlflow_tags.MLFLOW_SOURCE_TYPE: "LOCAL",
        mlflow_tags.MLFLOW_RUN_NOTE: description,
        **({mlflow_tags.MLFLOW_PARENT_RUN_ID: parent} if parent else {}),
    }
    all_tags = _texts({**own_tags, **tags}, TAG_LIMIT)
    started_at = int(time.time() * 1000)

    def create(is_again: bool) -> str:
        in_experiment = experiment_id(store, experiment)
        with store_errors(store, "the run"), one_try():
            created = _created_before(store, in_experiment, all_tags, started_at) if is_again else None
            if created is None:
                run = store.client.create_run(in_experiment, started_at, all_tags, redacted(name))
                created = run.info.run_id
        return created

    outbox = Outbox(folder)
    try:
        with _written("the run"):
            outbox.open()
        run_id = patiently(create, patience)
    except BaseException:
        outbox.make_room()
        outbox.close()
        raise
    with _written("the run"):
        outbox.belongs_to(run_id, str(store))
    run = RunWriter(store, run_id, folder)
    _log_first_params(run, outbox, _texts(params, PARAM_LIMIT))
    return run


def _created_before(store: Store, in_experiment: str, tags: Mapping[str, str], started_at: int) -> str | None:
    """Return the run that a server had created before its answer was lost."""
    time.sleep(1)  # it may be at it only now
    candidates = store.client.search_runs([in_experiment], f"attributes.start_time = {started_at}")
    same = [run.info.run_id for run in candidates if tags.items() <= run.data.tags.items()]
    return same[0] if same else None


def _log_first_params(run: RunWriter, outbox: Outbox, params: Mapping[str, str]) -> None:
    try:
        with store_errors(run.store, "params"):
            send_params(run.store.client, run.id, params)
    except StoreAway:
        run.log_params(params)
    except StoreError:
        with contextlib.suppress(MlflowException):
            run.store.client.delete_run(run.id)
        outbox.close()
        raise


def reopen_run(store: Store, run_id: str, folder: Path) -> RunWriter:
    """Return a run that ended, RUNNING again and without its reason to have ended. Raises StoreError.

    What an earlier process of it had logged and not delivered, because it was killed or the store was away,
    goes to the store now. Logging a step again that it has changes nothing.
    """
    run = RunWriter(store, run_id, folder)
    with store_errors(store, f"run {run_id}"):
        stored = store.client.get_run(run_id)  # before anything is made for a run that does not exist
        if not store.is_server:
            location = store.client.get_experiment(stored.info.experiment_id).artifact_location
            refuse_moved(location, store.layout.mlruns)
        run.take_over()
        for tag in (REASON_TAG, FAILURE_TAG):
            if tag in store.client.get_run(run_id).data.tags:
                store.client.delete_tag(run_id, tag)
        store.client.update_run(run_id, status="RUNNING")
    return run


@contextlib.contextmanager
def recording(run: RunWriter, goes_on: Callable[[], bool] = lambda: False) -> Iterator[RunWriter]:
    """Keep the run's status true, however the body ends; what it raises goes on.

    Where the run `goes_on` in other processes then, its status stays.

    FINISHED; KILLED when it is pruned or interrupted, SCHEDULED when it is paused; for anything else FAILED,
    with the traceback as an artifact. The reason goes to the tag `runback.reason`.
    """
    try:
        with _leaving(run, goes_on):
            yield run
    except TrialPruned as pruned:
        step = run.last_step
        run.finish("KILLED", str(pruned) if step is None else f"pruned after epoch {step}")
        raise
    except TrialPaused:
        run.finish("SCHEDULED", f"paused after epoch {run.last_step}")
        raise
    except (Stopped, KeyboardInterrupt) as stop:
        cause = stop.reason if isinstance(stop, Stopped) else "Ctrl-C"
        run.finish("KILLED", f"interrupted: {cause}")
        raise
    except BaseException as error:
        if is_full(error):
            run.make_room()
            run.finish("FAILED", said(error))
            raise
        with contextlib.suppress(RunbackError):
            run.log_text(redacted_excerpt(traceback.format_exc(), TRACEBACK_LIMIT), TRACEBACK)
        name = "" if isinstance(error, RunbackError) else f"{type(error).__name__}: "
        run.finish("FAILED", f"{name}{first_line(said(error))}")
        raise
    run.finish("FINISHED")


@contextlib.contextmanager
def _leaving(run: RunWriter, goes_on: Callable[[], bool]) -> Iterator[None]:
    """Leave a run's status to others, however the body ends, where it goes on with them."""
    try:
        yield
    finally:
        if goes_on():
            run.leave()


def _say(troubles: Sequence[RunbackError]) -> None:
    """Say what the store refused, and raise it where the disk is full."""
    for trouble in troubles:
        if isinstance(trouble, DiskFull):
            raise trouble
        _logger.warning("%s", trouble)


def _texts(values: Mapping[str, object], limit: int) -> dict[str, str]:
    """Return values as texts, cut, and without secrets; names stay, for what has one is found by it."""
    return {name: _text(name, value, limit) for name, value in values.items()}


def _text(name: str, value: object, limit: int) -> str:
    # What is cut off later need not be looked through, but for what would be cut through.
    start = without_values(value)[: limit + MARGIN] if isinstance(value, str) else value
    (clean,) = masked({name: start})[0].values()
    return cut(str(clean), limit)


@contextlib.contextmanager
def _written(what: str) -> Iterator[None]:
    """Turn what the file system raises into a StoreError that says what could not be written."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFull(f"the disk is full: cannot store {what}") from error
        raise StoreError(f"cannot store {what}: {first_line(str(error))}") from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
