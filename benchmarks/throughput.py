"""Images per second of `runback train` against those of bare `model.fit`.

Both train the same network with the same optimizer, data, seed, batch sizes, threads and deterministic
operations, in one process, one after the other. Each is timed from the end of its first epoch, in which
TensorFlow builds the graph, to the end of its last: what runback does after an epoch counts against it.
"""

import contextlib
import gc
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

import classifier_job
from runback.system.text.quiet_stderr import silenced
from runback.tracking.layout import Layout, project_root


@dataclass(frozen=True)
class Throughput:
    """Images per second, training and validation together, of each run in turn."""

    bare: list[float]
    tracked: list[float]


class Screen(io.StringIO):
    """A terminal that nobody looks at: the progress display draws all it would draw on one."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def measure(overrides: Sequence[str], repeats: int) -> Throughput:
    """Train `repeats` times each way, in turn, after one run of each to warm up."""
    measured = Throughput([], [])
    for repeat in range(repeats + 1):
        bare, tracked = _bare(overrides), _tracked(overrides)
        if repeat > 0:
            measured.bare.append(bare)
            measured.tracked.append(tracked)
    return measured


def _bare(overrides: Sequence[str]) -> float:
    speeds: list[float] = []

    def job(cfg: DictConfig) -> None:
        from runback.classifier.training.batches import validation_batch
        from runback.classifier.training.fit import compile_model

        spec, prepared = classifier_job.prepared(cfg)
        epochs, batch_size = spec.options.epochs, spec.options.batch_size
        ends: list[float] = []
        compile_model(prepared.network, prepared.augmentation, prepared.optimizer).fit(
            prepared.train.images,
            prepared.train.labels,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=True,
            validation_data=(prepared.validation.images, prepared.validation.labels),
            validation_batch_size=validation_batch(batch_size),
            callbacks=[_clock(ends)],
            verbose=0,
        )
        speeds.append(_speed(len(prepared.train), ends))

    _run(job, overrides)
    return speeds[0]


def _tracked(overrides: Sequence[str]) -> float:
    """Run what `runback train` runs; its run in the store knows when each epoch ended, in milliseconds."""
    from runback.tracking.store import open_store

    run_id = _run(classifier_job.job, overrides).split()[-1]
    client = open_store(Layout(project_root())).client
    n_train = int(client.get_run(run_id).data.params["data.n_train"])
    points = sorted(client.get_metric_history(run_id, "loss"), key=lambda point: point.step)
    return _speed(n_train, [point.timestamp / 1000 for point in points])


def _run(job: Callable[[DictConfig], Any], overrides: Sequence[str]) -> str:
    """Run `job` on the composed config; return what it printed."""
    screen = Screen()
    with silenced(), contextlib.redirect_stdout(screen):
        import keras

        keras.backend.clear_session()
        gc.collect()
        classifier_job.run(job, list(overrides))
    return screen.getvalue()


def _clock(ends: list[float]) -> Any:
    import keras

    return keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.time()))


def _speed(n_train: int, ends: Sequence[float]) -> float:
    """Return images per second over all epochs but the first, given when each of them ended."""
    return n_train * (len(ends) - 1) / (ends[-1] - ends[0])
