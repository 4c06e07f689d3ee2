"""The same search for real: runback, Optuna in two processes, and KerasTuner's Hyperband, seed by seed.

    python benchmarks/peers.py [--seeds N] [--contender NAME …] [--results FILE] [--level X]

Each searches the optimizer, the learning rate, the batch size and two dropouts of deep_cnn on the same images
of CIFAR-10, which is read from where $RUNBACK_CIFAR10 says: trials of up to 9 epochs, two at once, the cores
divided among them. Which is first changes with the seed.

- runback: `runback sweep` in a fresh project, with the pruner of `sweeps/` and no first points.
  `runback-first` begins with the config as composed, as it does by default; `runback-float32` trains in
  float32.
- optuna: TPE and SuccessiveHalvingPruner with Optuna's defaults, processes that share a journal file, plain
  Keras, tf.data, MLflow for each epoch, and the model of each trial that comes to its end.
- keras-tuner: Hyperband with its defaults, a chief and workers, in an environment that is made for it from
  PyPI, on top of this one. For 9 epochs that is 23 trials, those that go on counted again.

The clock starts with the processes, imports included, and stops with the last one that trains. All have their
images decoded before; the peers have the database of their runs, too. Printed are the images trained on in a
second of the whole search, its seconds, the best val_accuracy and the seconds to --level, for each seed;
then the medians and how many times ahead runback is, with bootstrap intervals. With --results, searches that
are in FILE already are not run again. With the defaults it takes about 50 minutes on two cores, on which
nothing else should run.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any, NoReturn

import numpy as np
from omegaconf import DictConfig, OmegaConf

import classifier_job
from peers_table import RealSearch, summary, table
from project import cifar10, temporary_project
from runback.classifier.build import load_data
from runback.classifier.precision import fast_precision
from runback.errors import Stopped
from runback.system.cores import available_cores
from runback.system.files.whole_file import write_whole
from runback.system.stop_signals import STOPPING, stop_on_signals
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root

SCRIPTS = Path(__file__).with_name("peer_scripts")

KERAS_TUNER = ("keras-tuner==1.4.8", "tensorboard==2.21.0")
"""What is installed for KerasTuner: it imports tensorboard, and does not say so."""

GRACE = 30
"""Seconds that a search has to end when its time is over."""

SWEEP = """# @package _global_
defaults:
  - override /model: deep_cnn
  - override /data: {data}
  - override /hydra/sweeper/sampler: tpe
  - override /hydra/sweeper/pruner: promote
data:
  limit: {limit}
  validation_fraction: {fraction}
training:
  epochs: {epochs}
hydra:
  sweeper:
    n_trials: {trials}
    n_workers: {workers}
    params:
      optimizer: choice(sgd, adam, rmsprop)
      optimizer.learning_rate: tag(log, interval(0.0001, 0.1))
      training.batch_size: choice(32, 64, 128, 256)
      model.conv_dropout: interval(0.0, 0.5)
      model.dense_dropout: interval(0.0, 0.7)
"""


@dataclass(frozen=True)
class SearchTask:
    """The task of a search, the same for all contenders."""

    data: str
    images: int
    """Images to train on."""
    validation: int
    """Images to validate on."""
    trials: int
    epochs: int
    workers: int
    seconds: float | None
    """The time after which a search is ended; None: there is none."""
    precision: str
    """The precision of `runback` and `runback-first`."""

    @property
    def threads(self) -> int:
        """The threads of each worker."""
        return max(1, available_cores() // self.workers)

    def sweep(self) -> str:
        """Return the sweep file."""
        limit = self.images + self.validation
        return SWEEP.format(**{**asdict(self), "limit": limit, "fraction": self.validation / limit})


@dataclass(frozen=True)
class Setup:
    """What is made once, before any clock starts."""

    task: SearchTask
    folder: Path
    arrays: Path
    """The images, for peers."""
    cache: Path
    """The images, as runback has decoded them."""
    keras_tuner: Path | None
    """The Python of the environment that has KerasTuner."""


@dataclass(frozen=True)
class Commands:
    """The processes of a search, and the database of its runs."""

    database: Path
    workers: Sequence[Sequence[str | Path]]
    helpers: Sequence[Sequence[str | Path]] = ()
    """Processes that train nothing, and are ended when all workers have ended."""
    environment: Mapping[str, str] = field(default_factory=dict)


Contender = Callable[[Setup, int], contextlib.AbstractContextManager[Commands]]
"""Makes ready the search with a seed."""


def main() -> None:
    """Search with each contender and each seed that has not been searched with yet, and print."""
    options = _options()
    try:
        with stop_on_signals(*STOPPING):
            _search_all(options)
    except Stopped as stopped:
        say(f"{stopped}; with --results, the same command goes on", stream=sys.stderr)
        raise SystemExit(stopped.exit_code) from stopped


def _search_all(options: argparse.Namespace) -> None:
    task = SearchTask(**{name: getattr(options, name) for name in SearchTask.__dataclass_fields__})
    searches = _stored(options.results, task)
    wanted = [
        (name, seed)
        for seed in range(options.seed, options.seed + options.seeds)
        for name in rotated(options.contender, seed)
    ]
    done = {(one.contender, one.seed) for one in searches}
    with temporary_project() as folder:
        say(_headline(task), *_precision_lines(options))
        missing = [one for one in wanted if one not in done]
        if len(missing) < len(wanted):
            say(f"{len(wanted) - len(missing)} of {len(wanted)} searches are in {options.results}")
        if missing:
            setup = _set_up(task, folder, has_keras_tuner="keras-tuner" in {name for name, _ in missing})
        for name, seed in missing:
            searches.append(_search(name, seed, setup))
            _store(options.results, task, searches)
            say(f"{name} seed {seed}: {summary(searches[-1], task.images, options.level)}")
    chosen = [one for one in searches if (one.contender, one.seed) in {*wanted}]
    chosen.sort(key=lambda one: (options.contender.index(one.contender), one.seed))
    say("", *table(chosen, task.images, options.level, OURS))


def _headline(task: SearchTask) -> str:
    limit = "" if task.seconds is None else f", ended after {task.seconds:g} s"
    return (
        f"{task.images:,} + {task.validation:,} images of {task.data}, {task.trials} trials of up to "
        f"{task.epochs} epochs, {task.workers} at once, threads of each: {task.threads}{limit}"
    )


def _precision_lines(options: argparse.Namespace) -> list[str]:
    if not {*options.contender} & {*OURS} or options.precision != "auto":
        return []
    return [f"training.precision=auto takes {': '.join(fast_precision())}"]


def rotated(names: Sequence[str], seed: int) -> list[str]:
    """Return the contenders in the order of a seed: each is first in its turn."""
    first = seed % len(names)
    return [*names[first:], *names[:first]]


def _set_up(task: SearchTask, folder: Path, *, has_keras_tuner: bool) -> Setup:
    arrays = folder / "images.npz"
    overrides = [f"data={task.data}", f"data.limit={task.images + task.validation}"]
    overrides += [f"data.validation_fraction={task.validation / (task.images + task.validation)}"]
    cache = Layout(project_root()).data
    classifier_job.run(lambda cfg: _write_arrays(cfg, cache, arrays), overrides)
    python = _keras_tuner_environment(folder / "keras-tuner") if has_keras_tuner else None
    return Setup(task, folder, arrays, cache, python)


def _write_arrays(cfg: DictConfig, cache: Path, file: Path) -> None:
    """Write the images of a config to a file, those that runback trains and validates on."""
    data: Any = OmegaConf.to_container(cfg.data, resolve=True)
    train, validation = load_data(data, (), cache)
    np.savez(
        file,
        train=train.images[:],
        train_labels=train.labels,
        validation=validation.images[:],
        validation_labels=validation.labels,
    )


def _keras_tuner_environment(folder: Path) -> Path:
    """Make an environment with KerasTuner that has this one's packages besides; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    names = {"base": str(folder), "platbase": str(folder)}
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    Path(sysconfig.get_path("purelib", vars=names), "beneath.pth").write_text("\n".join(paths) + "\n")
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *KERAS_TUNER]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        _refuse(f"pip cannot install {' '.join(KERAS_TUNER)}, name the other contenders: {reason}")
    return python


def _search(name: str, seed: int, setup: Setup) -> RealSearch:
    """Run a search; nothing of it is left but what it reported."""
    with CONTENDERS[name](setup, seed) as commands:
        log = commands.database.with_name("output.log")
        with log.open("wb") as output, contextlib.ExitStack() as stack:
            began = time.time()
            helpers, workers = (
                [stack.enter_context(_process(one, commands, output)) for one in kind]
                for kind in (commands.helpers, commands.workers)
            )
            is_ended = _wait(helpers, workers, began, setup.task.seconds)
            wall = time.time() - began
            failed = not is_ended and _has_failed(helpers, workers)
        wall = setup.task.seconds if is_ended and setup.task.seconds is not None else wall
        reports = _reports(commands.database, began, wall)
        if failed or not (reports or is_ended):
            tail = log.read_text("utf-8", "replace").splitlines()[-20:]
            _refuse(f"{name} with seed {seed} has failed:", *tail)
    return RealSearch(name, seed, wall, reports)


@contextlib.contextmanager
def _process(
    command: Sequence[str | Path], commands: Commands, output: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process; at the end of the block it is ended with its children, if it still runs."""
    environment = {**os.environ, **commands.environment}
    process = subprocess.Popen(
        command,
        cwd=commands.database.parent,
        env=environment,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, sent)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE)


def _wait(
    helpers: Sequence[subprocess.Popen[bytes]],
    workers: Sequence[subprocess.Popen[bytes]],
    began: float,
    seconds: float | None,
) -> bool:
    """Wait until all workers have ended, or a process has failed; say whether their time was over before."""
    while any(worker.poll() is None for worker in workers) and not _has_failed(helpers, workers):
        if seconds is not None and time.time() - began > seconds:
            return True
        time.sleep(0.05)
    return False


def _has_failed(*processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    return any(process.poll() for kind in processes for process in kind)


def _reports(database: Path, began: float, wall: float) -> tuple[tuple[float, float], ...]:
    """Return the seconds and the val_accuracy of each epoch in an MLflow store that ended within the time."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT timestamp, value FROM metrics WHERE key = 'val_accuracy' ORDER BY timestamp"
        ).fetchall()
    found = [(round(timestamp / 1000 - began, 3), value) for timestamp, value in rows]
    return tuple((seconds, value) for seconds, value in found if seconds <= wall)


def _runback(*overrides: str, first: str = "none", precision: str | None = None) -> Contender:
    """Return runback with these settings; by default in the task's precision."""

    @contextlib.contextmanager
    def ready(setup: Setup, seed: int) -> Iterator[Commands]:
        with temporary_project() as folder:
            (folder / "sweeps" / "peers.yaml").write_text(setup.task.sweep())
            copytree(setup.cache, folder / "mlruns" / "data")
            command = [sys.executable, "-m", "runback", "sweep", "peers", f"seed={seed}"]
            command += [f"hydra.sweeper.seed={seed}", f"hydra.sweeper.first={first}"]
            command += [f"training.precision={precision or setup.task.precision}", *overrides]
            yield Commands(folder / "mlruns" / "mlflow.db", [command])

    return ready


@contextlib.contextmanager
def _optuna(setup: Setup, seed: int) -> Iterator[Commands]:
    with _peer(setup, seed) as folder:
        script: list[str | Path] = [sys.executable, SCRIPTS / "optuna_search.py", folder / "job.json"]
        workers = [[*script, str(place)] for place in range(setup.task.workers)]
        yield Commands(folder / "mlflow.db", workers, environment=_mlflow(folder))


@contextlib.contextmanager
def _keras_tuner(setup: Setup, seed: int) -> Iterator[Commands]:
    if setup.keras_tuner is None:
        raise ValueError("there is no environment with KerasTuner")
    with _peer(setup, seed) as folder:
        script = [setup.keras_tuner, SCRIPTS / "keras_tuner_search.py", folder / "job.json"]
        yield Commands(
            folder / "mlflow.db",
            workers=[[*script, str(place)] for place in range(setup.task.workers)],
            helpers=[[*script, "chief"]],
            environment={
                **_mlflow(folder),
                "KERASTUNER_ORACLE_IP": "127.0.0.1",
                "KERASTUNER_ORACLE_PORT": str(_free_port()),
            },
        )


@contextlib.contextmanager
def _peer(setup: Setup, seed: int) -> Iterator[Path]:
    """Make a folder with a peer's job and an empty database for its runs."""
    task = setup.task
    with tempfile.TemporaryDirectory(dir=setup.folder, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        job = {"images": str(setup.arrays), "n_trials": task.trials, "n_epochs": task.epochs}
        (folder / "job.json").write_text(json.dumps({**job, "seed": seed, "threads": task.threads}))
        create = [sys.executable, "-c", "import mlflow; mlflow.set_experiment('search')"]
        environment = {**os.environ, **_mlflow(folder)}
        subprocess.run(create, cwd=folder, env=environment, check=True, capture_output=True)
        yield folder


def _mlflow(folder: Path) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",  # as runback has it
        "KERAS_BACKEND": "tensorflow",
    }


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


CONTENDERS: dict[str, Contender] = {
    "runback": _runback(),
    "runback-first": _runback(first="config"),
    "runback-float32": _runback(precision="float32"),
    "optuna": _optuna,
    "keras-tuner": _keras_tuner,
}

OURS = tuple(name for name in CONTENDERS if name.startswith("runback"))

BY_DEFAULT = ("runback", "optuna", "keras-tuner")


def _stored(file: Path | None, task: SearchTask) -> list[RealSearch]:
    """Read the searches of a file of results, if there is one already."""
    if file is None or not file.exists():
        return []
    found = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            other = SearchTask(**row.pop("task"))
            found.append(RealSearch(**{**row, "reports": tuple(map(tuple, row["reports"]))}))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            _refuse(f"{file}, line {number}: expected a search of this benchmark; {error!r}")
        if other != task:
            _refuse(f"{file}, line {number}: it is of another task, {other}; name another file")
    return found


def _store(file: Path | None, task: SearchTask, searches: Sequence[RealSearch]) -> None:
    if file is not None:
        rows = [json.dumps({"task": asdict(task), **asdict(one)}) for one in searches]
        write_whole(file, "".join(f"{row}\n" for row in rows).encode())


def _refuse(reason: str, *lines: str) -> NoReturn:
    say(f"error: {reason}", *lines, stream=sys.stderr)
    raise SystemExit(2)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ", ".join(CONTENDERS)
    parser.add_argument(
        "--contender",
        action="append",
        choices=[*CONTENDERS],
        metavar="NAME",
        help=f"only these (repeat it): {names}; by default {', '.join(BY_DEFAULT)}",
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="searches of each (3)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first of them (0)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write to it, and go on from it")
    parser.add_argument("--level", type=float, default=0.5, help="the val_accuracy to reach (0.50)")
    parser.add_argument("--seconds", type=float, help="end each search after that many (default: never)")
    parser.add_argument(
        "--precision", default="auto", choices=("auto", "float32", "mixed_bfloat16"), help="runback's (auto)"
    )
    parser.add_argument("--trials", type=int, default=24, help="trials of a search (24)")
    parser.add_argument("--epochs", type=int, default=9, help="the most of a trial (9)")
    parser.add_argument("--workers", type=int, default=2, help="trials at once (2)")
    parser.add_argument("--data", default="cifar10", choices=("cifar10", "digits"), help="(cifar10)")
    parser.add_argument("--images", type=int, default=5000, help="images to train on (5000)")
    parser.add_argument("--validation", type=int, default=1000, help="images to validate on (1000)")
    options = parser.parse_args()
    options.contender = list(dict.fromkeys(options.contender or BY_DEFAULT))
    if options.results is not None:
        options.results = options.results.absolute()
        if not options.results.parent.is_dir():
            parser.error(f"--results {options.results}: there is no such folder")
    counts = (options.seeds, options.trials, options.epochs, options.workers)
    if min(counts) < 1 or options.seed < 0 or min(options.images, options.validation) < 20:
        parser.error(
            "expected --seeds, --trials, --epochs and --workers from 1, --seed from 0, "
            "--images and --validation from 20"
        )
    if options.seconds is not None and not options.seconds > 0:
        parser.error(f"expected --seconds above 0; got {options.seconds:g}")
    if options.data == "cifar10" and cifar10() is None:
        parser.error("set RUNBACK_CIFAR10 to where CIFAR-10 is")
    return options


if __name__ == "__main__":
    main()
