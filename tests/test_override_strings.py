"""Random override strings, from Hydra's grammar and from noise: each is done, or refused in one line."""

import contextlib
import io
import shutil
import string
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from runback.cli import classifier_app, command_line
from runback.runs.run_folder import fresh_folder
from runback.runs.tasks.script_command import check as check_task
from runback.runs.tasks.script_command import composed_spec
from runback.runs.tasks.task_source import CLASSIFIER
from runback.sweeping import optimize
from runback.sweeping.hydra_task import HydraTask
from runback.sweeping.trials import messages
from runback.sweeping.trials.engines.engine import Ended
from runback.sweeping.trials.exception_report import failed
from runback.sweeping.trials.trial import Trial

FEW, MANY, REAL = 30, 700, 20
"""Strings for each command: in the suite, in the slow test, and with real trainings."""

TINY = ("data=synthetic", "model.widths=[2,2]", "model.dense_width=4", "training.epochs=1")

SWEEP = """# @package _global_
# A sweep for tests.
#   runback sweep tiny
defaults:
  - override /data: synthetic
model: {widths: [2, 2], dense_width: 4}
training: {epochs: 1}
hydra:
  sweeper:
    n_trials: 1
    params:
      training.batch_size: choice(16, 32)
"""

KEYS = (
    "seed", "tracking.experiment", "tracking", "training", "training.epochs", "training.batch_size",
    "training.precision", "training.threads", "training.patience", "training.objective",
    "training.direction", "training.checkpoint.every", "training.checkpoint", "model", "model.widths",
    "model.dense_width", "model.conv_dropout", "model.dense_dropout", "model._target_", "optimizer",
    "optimizer.learning_rate", "optimizer.beta_1", "optimizer.weight_decay", "optimizer._target_",
    "schedule", "schedule.warmup_epochs", "schedule._target_", "augmentation", "augmentation.layers",
    "data", "data.limit", "data.validation_fraction", "data.validation_split", "data.validation_seed",
    "data.num_classes", "data.seed", "data.channels", "data.path", "data.strict", "data._target_",
    "experiment", "sweeps", "hydra", "hydra.sweeper", "hydra.sweeper.n_trials", "hydra.sweeper.timeout",
    "hydra.sweeper.n_workers", "hydra.sweeper.threads", "hydra.sweeper.params",
    "hydra.sweeper.params.training.epochs", "hydra.sweeper.seed", "hydra.sweeper.objective",
    "hydra.sweeper.direction", "hydra.sweeper.retries", "hydra.sweeper.retries.lost",
    "hydra.sweeper.confirm", "hydra.sweeper.deterministic", "hydra.sweeper.extend",
    "hydra.sweeper.pruner", "hydra.sweeper.sampler", "hydra.sweeper.sampler.seed",
    "hydra.sweeper.preload", "hydra.sweeper.gpus", "hydra.sweeper._target_", "hydra/sweeper",
    "hydra/sweeper/sampler", "hydra/sweeper/pruner", "hydra/launcher", "hydra/output",
    "hydra/job_logging", "hydra.job.name", "hydra.job.num", "hydra.verbose", "hydra.mode",
    "hydra.searchpath", "hydra.callbacks", "hydra.launcher"
)  # fmt: skip

NAMES = (
    "adam", "sgd", "adamw", "rmsprop", "shallow_cnn", "deep_cnn", "resnet20", "synthetic", "digits",
    "cosine", "constant", "none", "flip", "shift", "notebook_deep", "tiny", "quickstart", "tpe",
    "random", "grid", "qmc", "cmaes", "brute_force", "asha", "median", "hyperband", "threshold",
    "val_accuracy", "val_loss", "maximize", "minimize", "mixed_bfloat16", "auto", "runback", "basic",
    "MULTIRUN", "RUN", "on", "yes", "None", "???", "keras.optimizers.Adam", "os.system",
    "runback.classifier.models.deep_cnn.deep_cnn"
)  # fmt: skip

NUMBERS = (
    "0", "1", "-1", "2", "7", "16", "+3", "1_000", "007", "0.5", "-0.0", "1.0", "1e-3", "1e3", ".5", "1.",
    "1e308", "1e309", "inf", "-inf", "nan", "1" + "0" * 20, "9" * 400,
)  # fmt: skip

REFERENCES = (
    "${seed}", "${training.epochs}", "${nope}", "${oc.env:HOME}", "${oc.env:NOPE}", "${oc.env:NOPE,3}",
    "${now:%Y}", "${hydra:job.name}", "${oc.create:{a:1}}", "${oc.decode:'[1'}", "${", "$", "${seed",
    "${training}", "${training.epochs.nope}", "${no_resolver:1}", "\\${seed}",
)  # fmt: skip


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


noise = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
ascii_noise = st.text("()[]{}'\"=,:~@$\\+-/.%*!#&|<>; abx01\n\t", max_size=12)
words = st.text(string.ascii_letters + "_-./ ", min_size=1, max_size=8).filter(lambda one: "/" not in one)
scalars = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(NAMES),
    st.sampled_from(("null", "true", "false", "True", "", "''", "a b", "~", "*")),
    st.sampled_from(REFERENCES),
    words,
    noise.map(quoted),
)
FUNCTIONS = (
    "choice", "range", "interval", "tag", "sort", "shuffle", "glob", "int", "float", "str", "bool",
    "choise", "uniform"
)  # fmt: skip


def compound(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(values, max_size=4).map(",".join)
    names = st.one_of(words, st.sampled_from(("min", "max", "values", "a")))
    pairs = st.lists(st.tuples(names, values), max_size=3)
    return st.one_of(
        several,
        several.map("[{}]".format),
        pairs.map(lambda ones: "{" + ",".join(f"{key}:{value}" for key, value in ones) + "}"),
        st.tuples(st.sampled_from(FUNCTIONS), several).map("{0[0]}({0[1]})".format),
        values.map("tag(log,{})".format),
    )


number = st.sampled_from(NUMBERS[:16])
searches = st.one_of(
    st.tuples(number, number).map("interval({0[0]},{0[1]})".format),
    st.tuples(number, number).map("tag(log,interval({0[0]},{0[1]}))".format),
    st.tuples(number, number).map("int(interval({0[0]},{0[1]}))".format),
    st.tuples(number, number, number).map("range({0[0]},{0[1]},{0[2]})".format),
    st.tuples(number, number, number).map("tag(log,range({0[0]},{0[1]},{0[2]}))".format),
    st.lists(scalars, min_size=1, max_size=4).map(lambda ones: f"choice({','.join(ones)})"),
)
values = st.one_of(scalars, searches, st.recursive(scalars, compound, max_leaves=6), ascii_noise)
prefixed = st.tuples(st.sampled_from(("", "", "", "", "", "+", "++", "~")), st.sampled_from(KEYS)).map(
    "".join
)
removed = st.sampled_from([f"~{key}" for key in KEYS])
odd = st.sampled_from(("@x", ".x", ".0", "@", "..", ":a", "@a:b", " "))
keys = st.one_of(*[prefixed] * 6, st.tuples(st.sampled_from(KEYS), odd).map("".join), ascii_noise)
overrides = st.one_of(
    *[st.tuples(keys, values).map("=".join)] * 10,
    st.tuples(noise, values).map("=".join),
    removed,
    noise,
).filter(lambda one: not one.startswith("-"))  # an option, and no override


class Started(BaseException):
    """A sweep has come to its first trial."""


class InlineEngine:
    """Runs the check of a sweep in this process, and no trial."""

    is_busy, is_ready = False, True

    def __init__(self, *_: object) -> None:
        self._ended: list[Ended] = []

    def start(self, trial: Trial) -> None:
        import cloudpickle

        if trial.number >= 0:
            raise Started
        try:
            cloudpickle.loads(trial.call)()
        except Exception as error:
            self._ended.append(Ended(trial.number, failed(error)))
        else:
            self._ended.append(Ended(trial.number, messages.Completed((0.0,))))

    def events(self, timeout: float) -> list[Ended]:
        ended, self._ended = self._ended, []
        return ended

    def answer(self, number: int, prune: bool) -> None: ...

    def stop(self, number: int) -> None: ...

    def kill(self, number: int) -> None: ...

    def close(self) -> None: ...


def check(cfg: DictConfig) -> float:
    """Build all that a training needs, as the classifier's own job does, and train nothing."""
    with fresh_folder(Path(HydraConfig.get().runtime.output_dir)):
        composed_spec(CLASSIFIER.load(), cfg)
        check_task(CLASSIFIER, cfg, 1)
    return 0.0


@pytest.fixture
def here(project, monkeypatch) -> Path:
    """Enter a project whose commands run in this process as far as to the training."""
    project.own_sweeps(tiny=SWEEP)
    monkeypatch.chdir(project.folder)
    task = HydraTask(check, check=partial(check_task, CLASSIFIER))
    monkeypatch.setattr(classifier_app, "classifier_task", lambda: task)
    monkeypatch.setattr(optimize, "engine_of", InlineEngine)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return project.folder


def called(arguments: list[str]) -> tuple[int, str]:
    """Call a command in this process; return its exit code and what it prints on stderr."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = command_line.main(arguments)
        except Started:
            code = 0
        finally:
            GlobalHydra.instance().clear()
    return code, err.getvalue()


def is_refused_in_a_line_or_accepted(folder: Path, arguments: list[str]) -> None:
    code, err = called(arguments)
    assert code in (0, 2), (arguments, code, err)
    assert "Traceback" not in err, (arguments, err)
    if code == 2:
        assert len(err.splitlines()) == 1, (arguments, err)
        assert err.startswith("runback: "), (arguments, err)
        assert list((folder / "mlruns").glob("runs/*")) == [], arguments
        assert list((folder / "mlruns").glob("sweeps/*")) == [], arguments
    for made in ("runs", "sweeps"):
        shutil.rmtree(folder / "mlruns" / made, ignore_errors=True)


def strings(count: int) -> Callable[[Callable], Callable]:
    """Give a function so many strings, the same ones each time."""

    def decorated(function: Callable) -> Callable:
        slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
        return settings(
            max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=slow,
            phases=[Phase.generate],
        )(given(overrides)(function))  # fmt: skip

    return decorated


COMMANDS = {
    "train": ["train", *TINY],
    "multirun": [
        "train",
        "--multirun",
        *TINY,
        "training.checkpoint.every=1,2",
        "hydra.sweeper.experiment=null",
    ],
    "sweep": ["sweep", "tiny", "hydra.sweeper.experiment=null"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_any_override_is_done_or_refused_in_a_line(here, command):
    @strings(FEW)
    def one(override: str) -> None:
        is_refused_in_a_line_or_accepted(here, [*COMMANDS[command], override])

    one()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", COMMANDS)
def test_any_of_many_overrides_is_done_or_refused_in_a_line(here, command):
    @strings(MANY)
    def one(override: str) -> None:
        is_refused_in_a_line_or_accepted(here, [*COMMANDS[command], override])

    one()


def sample(count: int) -> list[str]:
    """Return strings that look like overrides."""
    found: dict[str, None] = {}

    @strings(3 * count)
    def one(override: str) -> None:
        if "=" in override:
            found[override] = None

    one()
    return list(found)[:count]


@pytest.mark.parametrize("command", ["train", pytest.param("sweep", marks=pytest.mark.slow)])
def test_a_real_command_with_any_override_is_done_or_refused_in_a_line(project, command):
    project.own_sweeps(tiny=SWEEP)
    overrides = sample(REAL)
    own = {
        "train": lambda number: ["train", *TINY],
        "sweep": lambda number: ["sweep", "tiny", f"hydra.sweeper.name=s{number}"],
    }
    results = project.run_many(*([*own[command](n), one] for n, one in enumerate(overrides)))
    for override, (code, _, err) in zip(overrides, results, strict=True):
        assert code in (0, 2), (override, err)
        assert "Traceback" not in err, override
        assert code == 0 or err.count("\n") == 1, (override, err)
    trained = [run for run in project.runs() if run.data.tags["runback.kind"] != "sweep"]
    assert {run.info.status for run in project.runs()} <= {"FINISHED"}
    assert len(trained) == sum(code == 0 for code, _, _ in results)
    assert trained
