"""Scripts of a person's own: trained, swept, killed, resumed and reproduced, in an empty folder."""

import importlib.util
import json
import re
import signal

import pytest

pytestmark = pytest.mark.timeout(900)  # many processes, one after the other

NUMPY = """
import time
from typing import Annotated

import numpy as np
from annotated_types import Interval

import runback


@runback.task
def fit(
    run: runback.Run,
    *,
    learning_rate: Annotated[float, Interval(gt=0, le=1)] = 0.1,
    epochs: int = 6,
    wait: float = 0.0,
) -> float:
    rng = np.random.default_rng(run.seed)
    x = rng.normal(size=(64, 3))
    x, y = run.data((x, x @ np.array([1.0, -2.0, 0.5])))
    w = np.zeros(3)
    if run.state:
        w, rng = run.state["w"], run.state["rng"]
    for epoch in run.epochs(epochs):
        noise = 0.01 * (rng.normal(size=3) + np.random.normal(size=3))
        w = w - learning_rate * (x.T @ (x @ w - y) / len(y) + noise)
        time.sleep(wait)
        run.log(loss=np.mean((x @ w - y) ** 2))
        run.checkpoint({"w": w, "rng": rng})
    run.result(weights=w, predictions=x @ w)
    return run.best("loss")


if __name__ == "__main__":
    fit.main()
"""

SKLEARN = """
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

import runback


@runback.task
def classify(run: runback.Run, *, alpha: float = 1e-4, epochs: int = 4) -> float:
    x, y = run.data(load_digits(return_X_y=True))
    model = SGDClassifier(alpha=alpha, random_state=run.seed)
    if run.state:
        model.partial_fit(x[:1], y[:1], classes=np.arange(10))
        model.coef_, model.intercept_, model.t_ = (run.state[name] for name in ("coef", "intercept", "t"))
    for epoch in run.epochs(epochs):
        order = np.random.permutation(1500)
        model.partial_fit(x[order], y[order], classes=np.arange(10))
        run.log(val_accuracy=model.score(x[1500:], y[1500:]))
        run.checkpoint({"coef": model.coef_, "intercept": model.intercept_, "t": model.t_})
    run.result(weights={"coef": model.coef_, "intercept": model.intercept_})
    return run.best("val_accuracy")


if __name__ == "__main__":
    classify.main()
"""

KERAS = """
import os
import time

import keras
import numpy as np

import runback


@keras.saving.register_keras_serializable(package="mine")
def loss_of_mine(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 1.5)


@runback.task
def train(run: runback.Run, *, learning_rate: float = 0.01, epochs: int = 5, wait: float = 0.0) -> float:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(96, 3)).astype("float32"), rng.normal(size=(96, 5)).astype("float32")
    a, b, y = run.data((a, b, (a.sum(1) - b.sum(1))[:, None]))
    one, two = keras.Input((3,)), keras.Input((5,))
    x = keras.layers.Dense(8, "relu")(keras.layers.Concatenate()([one, two]))
    model = keras.Model([one, two], keras.layers.Dense(1)(keras.layers.Dropout(0.2)(x)))
    model.compile(keras.optimizers.Adam(learning_rate), loss=loss_of_mine, metrics=["mae"])
    slow = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: time.sleep(wait))
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    model.fit(
        [a, b], y, batch_size=16, epochs=epochs, validation_split=0.25, verbose=0,
        callbacks=[runback.keras.Callback(run), stop, slow],
    )
    return run.best("val_loss")


if __name__ == "__main__":
    train.main()
"""

TORCH = """
import time

import torch

import runback


@runback.task
def net(run: runback.Run, *, learning_rate: float = 0.01, epochs: int = 6, wait: float = 0.0) -> float:
    torch.manual_seed(run.seed)
    x = torch.randn(128, 10)
    x, y = run.data((x, (x.sum(1, keepdim=True) > 0).float()))
    first, last = torch.nn.Linear(10, 16), torch.nn.Linear(16, 1)
    model = torch.nn.Sequential(first, torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.3), last)
    average = torch.zeros(10, dtype=torch.bfloat16)
    optimizer = torch.optim.Adam(model.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    if run.state:
        model.load_state_dict(run.state["model"])
        optimizer.load_state_dict(run.state["optimizer"])
        schedule.load_state_dict(run.state["schedule"])
        average = run.state["average"]
        assert average.dtype == torch.bfloat16
    for epoch in run.epochs(epochs):
        model.train()
        for rows in torch.randperm(128).split(16):
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
        schedule.step()
        average = 0.9 * average + 0.1 * model[0].weight.detach().mean(0).bfloat16()
        time.sleep(wait)
        run.log(loss=loss.detach(), learning_rate=schedule.get_last_lr()[0])
        parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
        run.checkpoint({name: part.state_dict() for name, part in parts.items()} | {"average": average})
    model.eval()
    run.result(weights=model.state_dict(), predictions=model(x).detach(), average=average)
    return run.best("loss")


if __name__ == "__main__":
    net.main()
"""

SCRIPTS = {"fit": NUMPY, "classify": SKLEARN, "train": KERAS, "net": TORCH}


def needs(framework):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")


def run_id(out):
    return re.findall(r"^run ([0-9a-f]{32})$", out, re.MULTILINE)[-1]


def test_a_script_is_trained_recorded_and_shows_what_it_does(own_folder):
    (own_folder.folder / "fit.py").write_text(NUMPY)
    done = own_folder.python("fit.py", "learning_rate=0.2", "epochs=3")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("  data.0: array of 64 x 3 float64, by its values, ")
    assert [line.partition("  ")[0] for line in lines[-4:-1]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    [run] = own_folder.runs()
    assert (run.info.status, run.info.run_name) == ("FINISHED", "fit lr=0.2 epochs=3")
    assert run.info.run_id == run_id(done.stdout)
    assert own_folder.params(run.info.run_id)["learning_rate"] == "0.2"
    assert run.data.metrics["best_epoch"] == 3
    assert run.data.metrics["best_loss"] == run.data.metrics["loss"]
    assert run.data.tags["runback.kind"] == "train"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_killed_script_goes_on_and_is_reproduced_bit_for_bit(own_folder, name):
    if name == "net":
        needs("torch")
    (own_folder.folder / f"{name}.py").write_text(SCRIPTS[name])
    slow = ["epochs=60"] if name == "classify" else ["wait=0.3"]
    killed = own_folder.killed(f"{name}.py", "epoch 3", *slow)
    assert own_folder.runs()[0].info.status == "RUNNING"
    resumed = own_folder.runback("train", f"resume={killed}")
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from epoch " in resumed.stdout
    assert "going on from epoch 0" not in resumed.stdout
    again = own_folder.runback("reproduce", killed, "--in-place", "--json")
    assert again.returncode == 0, again.stderr
    verdict = json.loads(again.stdout)
    assert verdict["verdict"] == "bit-identical"
    assert "tensors" in " ".join(verdict["compared"])
    assert {run.info.status for run in own_folder.runs()} == {"FINISHED"}
    for command in (["export", killed, "run.zip"], ["verify", "run.zip"], ["compare", killed, "run.zip"]):
        done = own_folder.runback(*command)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", ["jax", pytest.param("torch", marks=pytest.mark.slow)])
def test_a_killed_keras_script_on_another_backend_goes_on_and_is_reproduced_on_it(own_folder, backend):
    needs(backend)
    (own_folder.folder / "train.py").write_text(KERAS)
    killed = own_folder.killed("train.py", "epoch 3", "wait=0.3", KERAS_BACKEND=backend)
    resumed = own_folder.runback("train", f"resume={killed}")  # the variable is not set
    assert resumed.returncode == 0, resumed.stderr
    assert f"KERAS_BACKEND={backend}, as for the recorded run" in resumed.stdout
    assert re.search("^going on from epoch [23],", resumed.stdout, re.MULTILINE)
    again = own_folder.runback("reproduce", killed, "--in-place", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["verdict"] == "bit-identical"
    other = own_folder.python("train.py", "epochs=1")
    assert other.returncode == 0, other.stderr
    differences = own_folder.runback("compare", killed, run_id(other.stdout)).stdout
    assert "KERAS_BACKEND" in differences
    assert "tensorflow" in differences


def test_a_torch_script_is_swept_and_pruned(own_folder):
    needs("torch")
    (own_folder.folder / "net.py").write_text(TORCH)
    space = ["learning_rate=0.0001,0.001,0.01,0.1", "hydra/sweeper/pruner=median", "epochs=4"]
    done = own_folder.runback("sweep", "net.py", *space)
    assert done.returncode == 0, done.stderr
    statuses = [run.info.status for run in own_folder.runs()]
    assert len(statuses) == 5
    assert set(statuses) <= {"FINISHED", "KILLED"}


FITS = {
    "twice": ("model.fit(x, y, callbacks=[call], verbose=0)\n    " * 2, "in a second fit: a run records one"),
    "two": (
        "model.fit(x, y, callbacks=[call, runback.keras.Callback(run)], verbose=0)",
        "the run has a runback.keras.Callback: a run records one fit",
    ),
    "alone": ("call.on_train_begin()", "give runback.keras.Callback(run) to fit"),
}


@pytest.mark.parametrize("name", FITS)
def test_a_callback_used_twice_is_one_line_and_the_run_that_began_has_failed(own_folder, name):
    text = f"""
import keras
import numpy as np
import runback

@runback.task
def train(run) -> float:
    x, y = np.zeros((8, 2)), np.zeros(8)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    call = runback.keras.Callback(run)
    {FITS[name][0]}
    return run.best("loss")

train.main()
"""
    (own_folder.folder / "train.py").write_text(text)
    done = own_folder.python("train.py")
    *noise, line = done.stderr.splitlines()  # TensorFlow's
    assert done.returncode == 2, done.stderr
    assert line.startswith("runback: ")
    assert FITS[name][1] in line
    assert "Traceback" not in done.stderr
    assert not [one for one in noise if one.startswith("runback")]
    statuses = [run.info.status for run in own_folder.runs()] if name == "twice" else []
    assert statuses == (["FAILED"] if name == "twice" else [])


PAUSE = """
class Pause(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.at = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.at == 2 and batch == 1 and "PAUSE" in os.environ:
            print("in the third epoch", flush=True)
            time.sleep(600)


@runback.task"""


@pytest.mark.parametrize(
    "signum",
    [
        signal.SIGTERM,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGINT, signal.SIGKILL)),
    ],
)
def test_a_signal_in_the_middle_of_an_epoch_ends_it_at_once(own_folder, signum):
    text = KERAS.replace("@runback.task", PAUSE.strip()).replace("stop, slow]", "stop, slow, Pause()]")
    (own_folder.folder / "train.py").write_text(text)
    killed = own_folder.killed("train.py", "in the third", signum=signum, PAUSE="1")
    assert own_folder.runs()[0].info.status == ("RUNNING" if signum == signal.SIGKILL else "KILLED")
    resumed = own_folder.runback("train", f"resume={killed}")
    assert resumed.returncode == 0, resumed.stderr
    assert re.search("^going on from epoch [12],", resumed.stdout, re.MULTILINE)
    again = own_folder.runback("reproduce", killed, "--in-place", "--json")
    assert json.loads(again.stdout)["verdict"] == "bit-identical"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_script_says_so_in_its_run(own_folder, signum):
    (own_folder.folder / "fit.py").write_text(NUMPY)
    own_folder.killed("fit.py", "epoch 2", "wait=0.3", signum=signum)
    [run] = own_folder.runs()
    assert run.info.status == "KILLED"
    assert run.data.tags["runback.reason"].startswith("interrupted: ")


def test_a_script_is_swept_pruned_and_its_trials_are_runs(own_folder):
    (own_folder.folder / "fit.py").write_text(NUMPY)
    space = ["learning_rate=tag(log,interval(0.001,1))", "hydra.sweeper.n_trials=8"]
    done = own_folder.runback("sweep", "fit.py", *space, "hydra/sweeper/pruner=asha", "epochs=4")
    assert done.returncode == 0, done.stderr
    assert "lowest so far" in done.stdout
    parent, *trials = sorted(own_folder.runs(), key=lambda run: run.info.start_time)
    assert parent.info.run_name == "fit"
    assert {trial.data.tags["mlflow.parentRunId"] for trial in trials} == {parent.info.run_id}
    assert len(trials) == 8
    assert {trial.info.status for trial in trials} == {"FINISHED", "KILLED"}
    assert all("loss" in trial.data.metrics for trial in trials)
    best = own_folder.runback("best", "fit").stdout.strip()
    assert own_folder.runback("reproduce", best, "--in-place").returncode == 0
    same = own_folder.runback("sweep", "fit.py", *space, "hydra/sweeper/pruner=asha", "epochs=4")
    assert "finished" in same.stdout


def test_a_killed_trial_of_a_script_goes_on_in_its_own_run(own_folder):
    killing = """        mark = Path(f"{run.trial}.killed")
        if run.trial is not None and run.epoch == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        noise ="""
    imports = "import os\nimport signal\nimport time\nfrom pathlib import Path"
    script = NUMPY.replace("        noise =", killing, 1).replace("import time", imports, 1)
    (own_folder.folder / "fit.py").write_text(script)
    space = ["learning_rate=interval(0.001,1)", "hydra.sweeper.n_trials=2", "epochs=4"]
    done = own_folder.runback("sweep", "fit.py", *space)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("killed by SIGKILL") == 2
    _, *trials = sorted(own_folder.runs(), key=lambda run: run.info.start_time)
    assert len(trials) == 2
    for trial in trials:
        assert trial.info.status == "FINISHED"
        assert trial.data.tags["runback.resumed"].startswith("epoch 2")
        assert own_folder.runback("reproduce", trial.info.run_id, "--in-place").returncode == 0


def test_the_three_ways_to_start_a_script_are_one(own_folder):
    (own_folder.folder / "fit.py").write_text(NUMPY)
    for command in (own_folder.python, lambda *a: own_folder.runback("train", *a)):
        assert command("fit.py", "epochs=2").returncode == 0
    module = own_folder.python("-m", "fit", "epochs=2")
    assert module.returncode == 0, module.stderr
    found = [run.data.metrics["loss"] for run in own_folder.runs()]
    assert len(found) == 3
    assert len(set(found)) == 1
    assert len({run.data.tags["runback.config_hash"] for run in own_folder.runs()}) == 1


def test_the_installed_command_finds_a_module_of_the_working_directory(own_folder):
    (own_folder.folder / "own_pkg").mkdir()
    (own_folder.folder / "own_pkg" / "fit.py").write_text(NUMPY)
    done = own_folder.runback("train", "own_pkg.fit:fit", "epochs=1")
    assert done.returncode == 0, done.stderr
    assert len(own_folder.runs()) == 1


OTHER = "@runback.task\ndef other(run) -> float:\n    return 1.0\n\n\n"

RATE = "learning_rate: Annotated[float, Interval(gt=0, le=1)] = 0.1"

REFUSED = {
    ("fit.py", "learning_rate=2"): "learning_rate: input should be less than or equal to 1; got 2.0",
    ("fit.py", "learning_rat=0.2"): "unknown key 'learning_rat'; did you mean 'learning_rate'?",
    ("fit.py", "epochs=many"): "epochs: value 'many' of type 'str' could not be converted to Integer",
    ("fit.py", "run.seed=-1"): "run.seed must lie in [0, 4294967295]; got -1",
    ("fit.py", "run.experiment=a/b"): "run.experiment must be usable as a folder's name",
    ("nothing.py",): "task fit returns nothing: it must return its objective's value",
    ("untyped.py",): "parameter learning_rate has no type: write learning_rate: float = 0.1",
    ("two.py",): "two.py has 2 tasks, fit, other: name one, as two.py:fit",
    ("none.py",): "none.py has no task: write @runback.task above its training function",
    ("gone.py",): "there is no script",
    ("broken.py",): "cannot import broken.py: SyntaxError: invalid syntax (broken.py, line 1)",
    ("lacking.py",): "cannot import lacking.py: ModuleNotFoundError: No module named 'not_there'",
    ("open.py",): 'fit.main() is called where the script is imported: write if __name__ == "__main__":',
    ("text.py",): "write objective=… for a metric's name",
    ("fit.py:other",): "fit.py has no task 'other': it has fit",
}


def test_bad_input_is_one_line_and_leaves_no_run(own_folder):
    write = {
        "fit": NUMPY,
        "nothing": NUMPY.replace('    return run.best("loss")\n', ""),
        "untyped": NUMPY.replace(RATE, "learning_rate=0.1"),
        "two": NUMPY.replace("if __name__", f"{OTHER}if __name__"),
        "none": "x = 1\n",
        "broken": "def fit(:\n",
        "lacking": f"import not_there\n{NUMPY}",
        "open": NUMPY.replace('if __name__ == "__main__":', "if True:"),
        "text": NUMPY.replace("@runback.task", "@runback.task('loss')"),
    }
    for name, text in write.items():
        (own_folder.folder / f"{name}.py").write_text(text)
    refused = own_folder.runback_many(*(("train", *arguments) for arguments in REFUSED))
    for (arguments, message), (code, _, error) in zip(REFUSED.items(), refused, strict=True):
        assert (code, error.count("\n")) == (2, 1), (arguments, error)
        assert message in error
    alone = own_folder.runback("train", "fit.py", "learning_rate=2")
    assert (alone.returncode, alone.stderr) == (2, refused[0][2])
    assert own_folder.runback("train", "two.py:other").returncode == 0
    assert len(own_folder.runs()) == 1


def test_an_unknown_parameter_in_a_space_is_refused_before_its_first_trial(own_folder):
    (own_folder.folder / "fit.py").write_text(NUMPY)
    done = own_folder.runback("sweep", "fit.py", "rate=0.1,0.2")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "rate" in done.stderr
    space = ["learning_rate=interval(0.1,5)", "hydra.sweeper.n_trials=2"]
    beyond = own_folder.runback("sweep", "fit.py", *space)
    assert (beyond.returncode, beyond.stderr.count("\n")) == (2, 1), beyond.stderr
    assert "learning_rate: input should be less than or equal to 1; got 5.0" in beyond.stderr
    assert not (own_folder.folder / "mlruns" / "sweeps").exists()


def test_a_parameters_value_may_be_any_path(own_folder) -> None:
    (own_folder.folder / "paths.py").write_text(
        "import runback\n\n\n@runback.task\n"
        "def train(run: runback.Run, *, data_path: str | None = None) -> float:\n"
        "    run.log(loss=float(len(str(data_path))))\n    return run.best('loss')\n\n\n"
        "if __name__ == '__main__':\n    train.main()\n"
    )
    for value in ("../images", "a/../b"):
        done = own_folder.python("paths.py", f"data_path={value}")
        assert done.returncode == 0, done.stderr
        assert own_folder.params(own_folder.runs()[0].info.run_id)["data_path"] == value
    refused = own_folder.python("paths.py", "hydra/sweeper/sampler=../../secret")
    assert refused.returncode == 2


COLOURS = """
import enum

import runback


class Colour(enum.Enum):
    red = "r-e-d"
    blue = "b-l-u-e"


@runback.task
def paint(run: runback.Run, *, colour: Colour = Colour.red, shade: float = 0.5, epochs: int = 1) -> float:
    for epoch in run.epochs(epochs):
        run.log(loss=shade if colour is Colour.red else 1 - shade)
    return run.best("loss")


if __name__ == "__main__":
    paint.main()
"""


@pytest.mark.parametrize("words", [["colours.py"], ["-m", "colours"]])
def test_a_member_of_a_scripts_own_enumeration_is_searched(own_folder, words):
    (own_folder.folder / "colours.py").write_text(COLOURS)
    done = own_folder.python(*words, "--multirun", "colour=red,blue", "shade=0.1,0.3")
    assert done.returncode == 0, done.stderr
    assert "4 done" in done.stdout
    assert "lowest so far 0.1" in done.stdout
    kept = own_folder.python(*words, "--multirun", "shade=0.1,0.3")
    assert kept.returncode == 0, kept.stderr


def test_an_unknown_key_names_the_way_to_see_those_there_are(own_folder):
    (own_folder.folder / "colours.py").write_text(COLOURS)
    done = own_folder.python("colours.py", "zzz=1")
    assert (done.returncode, done.stderr) == (
        2,
        "runback: unknown key 'zzz'; --cfg job shows those there are\n",
    )
