"""`runback train` on a real project folder."""

import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from runback.classifier.train_config import GROUPS, TrainConfig
from runback.runs.tasks.script_command import warm_up
from runback.runs.tasks.task_source import CLASSIFIER

CIFAR10 = Path(os.environ.get("RUNBACK_CIFAR10", Path(__file__).parents[3] / "shared" / "cifar10")).absolute()

SMALL = ("training.epochs=3", "model.dense_width=16", "augmentation=shift", "training.threads=1")


@pytest.fixture(scope="module")
def trained(module_project):
    """Train once; many claims are about what that left behind."""
    done = module_project.run("train", *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return module_project, done.stdout


def test_a_run_shows_its_epochs_and_ends_with_its_id(trained):
    project, printed = trained
    lines = printed.splitlines()
    epochs = [line for line in lines[:-1] if not line.startswith(("data: ", "  "))]
    assert [line.split()[1] for line in epochs] == ["1/3", "2/3", "3/3"]
    assert all("val_accuracy" in line and "images/s" in line for line in epochs)
    assert lines[-1] == f"run {project.runs()[0].info.run_id}"


def test_a_run_has_the_params_a_person_wants_as_columns(trained):
    project, _ = trained
    params = project.runs()[0].data.params
    assert 20 <= len(params) <= 40
    expected = {
        "model.name": "shallow_cnn",
        "optimizer.name": "adam",
        "optimizer.learning_rate": "0.001",
        "training.batch_size": "32",
        "training.epochs": "3",
        "training.threads": "1",
        "augmentation.name": "shift",
        "data.name": "digits",
        "data.n_train": "1149",
        "seed": "0",
    }
    assert {name: params[name] for name in expected} == expected


def test_a_run_has_a_curve_with_a_point_an_epoch(trained):
    project, _ = trained
    run = project.runs()[0]
    for metric in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds", "images_per_second"):  # fmt: skip  # noqa: E501
        points = project.client().get_metric_history(run.info.run_id, metric)
        assert [point.step for point in points] == [1, 2, 3], metric
    assert "system/cpu_utilization_percentage" in run.data.metrics


def test_the_mirror_in_the_runs_folder_holds_the_same_points(trained):
    project, _ = trained
    [mirror] = project.folder.glob("mlruns/runs/*/metrics.jsonl")
    lines = [json.loads(line) for line in mirror.read_text().splitlines()]
    run_id = project.runs()[0].info.run_id
    stored = [p.value for p in project.client().get_metric_history(run_id, "val_accuracy")]
    mirrored = [line["metrics"]["val_accuracy"] for line in lines if "val_accuracy" in line["metrics"]]
    assert mirrored == stored


def test_a_run_has_tags_and_a_description_and_is_finished(trained):
    project, _ = trained
    run = project.runs()[0]
    assert run.info.status == "FINISHED"
    assert run.data.tags["runback.kind"] == "train"
    assert all(len(run.data.tags[f"runback.{name}"]) == 64 for name in ("config_hash", "data_hash.train"))
    assert "shallow\\_cnn" in run.data.tags["mlflow.note.content"]  # Markdown


def test_a_run_has_its_artifacts(trained):
    project, _ = trained
    client, run = project.client(), project.runs()[0]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names == {
        "config.yaml",
        "overrides.yaml",
        "model.keras",
        "architecture.json",
        "model.weights.h5",
        "model_summary.txt",
        "curves.png",
        "augmentation.png",
        "record",
    }
    for name in ("curves.png", "augmentation.png"):
        image = np.asarray(Image.open(client.download_artifacts(run.info.run_id, name)))
        assert image.std() > 0


def test_the_logged_model_predicts_from_raw_uint8_images(trained):
    import keras
    import mlflow

    project, _ = trained
    client, run = project.client(), project.runs()[0]
    [logged] = run.outputs.model_outputs
    served = mlflow.pyfunc.load_model(client.get_logged_model(logged.model_id).artifact_location)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    network = keras.saving.load_model(client.download_artifacts(run.info.run_id, "model.keras"))
    np.testing.assert_array_equal(served.predict(images), network.predict(images, verbose=0))
    with pytest.raises(mlflow.MlflowException):
        served.predict(images.astype(np.float64) / 255)


def test_evaluate_measures_the_test_split_once(trained):
    project, _ = trained
    run_id = project.runs()[0].info.run_id
    done = project.run("evaluate", run_id[:8])
    assert done.returncode == 0, done.stderr
    run = project.client().get_run(run_id)
    assert run.info.status == "FINISHED"
    assert f"test accuracy {run.data.metrics['test_accuracy']:.4f}" in done.stdout
    assert {f"test_accuracy_{digit}" for digit in range(10)} <= set(run.data.metrics)
    assert {"confusion.png", "evaluation.json", "evaluation.html", "model_card.md"} <= {
        f.path for f in project.client().list_artifacts(run_id)
    }
    again = project.run("evaluate", run_id, "--json")
    assert json.loads(again.stdout)["quality"]["accuracy"]["value"] == run.data.metrics["test_accuracy"]
    assert "once" in again.stderr
    assert len(project.client().get_metric_history(run_id, "test_accuracy")) == 1


@pytest.mark.slow
@pytest.mark.skipif(
    not CIFAR10.is_dir(), reason="CIFAR-10 is not here: ../shared/cifar10 or $RUNBACK_CIFAR10"
)
def test_a_notebook_trains_on_real_cifar10_and_is_measured_on_its_test_split(project):
    env = {"RUNBACK_CIFAR10": str(CIFAR10)}
    done = project.run("train", "experiment=notebook_deep", "training.epochs=2", "data.limit=5000", **env)
    assert done.returncode == 0, done.stderr
    [run] = project.runs()
    assert run.data.params["data.n_train"] == "4000"
    assert run.data.metrics["val_accuracy"] > 0.13  # chance is 0.1, give or take 0.01
    evaluated = project.run("evaluate", run.info.run_id, "--json", **env)
    report = json.loads(evaluated.stdout)
    assert report["n"] == 10_000
    assert abs(report["quality"]["accuracy"]["value"] - run.data.metrics["val_accuracy"]) < 0.1


@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow)],
)
def test_an_interrupted_run_is_killed_with_its_curve_kept(project, signum, code):
    process = project.start("train", "training.epochs=100000", "model.dense_width=16")
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    project.interrupt(process, signum)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code
    assert len(errors.strip().splitlines()) == 1
    [run] = project.runs()
    assert run.info.status == "KILLED"
    assert run.data.tags["runback.reason"].startswith("interrupted")
    assert len(project.client().get_metric_history(run.info.run_id, "val_accuracy")) >= 2


def test_what_was_kept_has_metrics_of_its_own_and_a_line_in_the_note(project):
    tiny = ("data=synthetic", "model.widths=[4,4]", "model.dense_width=8", "optimizer.learning_rate=0.02")
    results = project.run_many(
        ["train", *tiny, "training.epochs=40", "training.patience=2"],
        ["train", *tiny, "training.epochs=3"],
        ["train", *tiny, "training.epochs=2", "training.objective=[val_loss,parameters]",
         "training.direction=[minimize,minimize]"],
    )  # fmt: skip
    assert [code for code, _, _ in results] == [0, 0, 0]
    patient, impatient, several = project.runs()
    curve = [p.value for p in project.client().get_metric_history(patient.info.run_id, "val_accuracy")]
    assert len(curve) < 40
    metrics = patient.data.metrics
    assert (metrics["best_val_accuracy"], metrics["best_epoch"]) == (max(curve), curve.index(max(curve)) + 1)
    assert metrics["val_accuracy"] == curve[-1]
    note = patient.data.tags["mlflow.note.content"]
    assert f"Kept: the weights of epoch {metrics['best_epoch']:.0f}, the best of {len(curve)}." in note
    metrics = impatient.data.metrics
    assert (metrics["best_val_accuracy"], metrics["best_epoch"]) == (metrics["val_accuracy"], 3)
    assert "Kept: the weights of epoch 3, the last." in impatient.data.tags["mlflow.note.content"]
    assert several.data.metrics["best_val_loss"] == several.data.metrics["val_loss"]
    assert several.data.metrics["best_parameters"] == float(several.data.params["model.parameters"])


def test_that_no_code_is_recorded_is_said_once_before_training(project):
    (code, printed, errors), = project.run_many(["train", "data=synthetic", "training.epochs=1"])  # fmt: skip
    assert (code, errors) == (0, "")
    line = f"  code: not recorded, and cannot be compared later: {project.folder} is in no git repository"
    assert printed.splitlines().count(line) == 1
    assert printed.index(line) < printed.index("epoch 1/1")
    [run] = project.runs()
    assert "is in no git repository" in run.data.tags["mlflow.note.content"]
    [(code, printed, _)] = project.run_many(["reproduce", run.info.run_id])
    assert code == 0
    assert "packages, Python, hardware, threads and data are those of the recorded run" in printed
    assert "not compared, because not recorded: code; it may be other" in printed


def test_a_run_that_diverges_is_failed_with_its_reason(project):
    done = project.run("train", "optimizer=sgd", "optimizer.learning_rate=1e30", "training.epochs=3")
    assert done.returncode == 1
    assert "diverged" in done.stderr
    [run] = project.runs()
    assert run.info.status == "FAILED"
    assert run.data.tags["runback.reason"].startswith("diverged: loss is ")
    assert done.stderr.startswith("runback: diverged: loss is ")


def test_a_users_own_model_factory_is_named_by_target(project):
    (project.folder / "mymodels.py").write_text(
        "import keras\n\n\n"
        "def tiny(input_shape: tuple[int, int, int], num_classes: int, *, width: int = 4) -> keras.Model:\n"
        "    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(width),\n"
        "              keras.layers.Dense(num_classes, activation='softmax')]\n"
        "    return keras.Sequential([keras.Input(input_shape), *layers])\n"
    )
    conf = project.folder / "conf"
    source = conf.resolve()
    conf.unlink()
    conf.mkdir()
    for entry in source.iterdir():
        (conf / entry.name).symlink_to(entry)
    (conf / "model").unlink()
    (conf / "model").mkdir()
    (conf / "model" / "tiny.yaml").write_text("_target_: mymodels.tiny\nwidth: 8\n")
    refused = project.run("train", "model=tiny", "training.epochs=1")
    assert refused.returncode == 2
    assert "not allowed" in refused.stderr
    (project.folder / "pyproject.toml").write_text('[tool.runback]\nmodules = ["mymodels"]\n')
    done = project.run("train", "model=tiny", "training.epochs=1")
    assert done.returncode == 0, done.stderr
    assert project.runs()[0].data.params["model.width"] == "8"


# ---- bad input: one line, exit code 2, nothing left in the stores

BAD_OVERRIDES = {
    "model=deep_cn": "did you mean 'deep_cnn'?",
    "model=xyz": "expected one of backbone, deep_cnn, resnet20, shallow_cnn",
    "trainig.epochs=3": "did you mean 'training.epochs'?",
    "training.epoch=3": "did you mean 'training.epochs'?",
    "model.dense_dropot=0.5": "did you mean 'model.dense_dropout'?",
    "training.batch_size=0": "training.batch_size must be at least 1; got 0",
    "training.epochs=0": "training.epochs must be at least 1; got 0",
    "training.epochs=ten": "training.epochs: value 'ten'",
    "training.epochs=[2,4]": "to search its elements write training.epochs=2,4",
    "training.patience=None": "no value is written training.patience=null",
    "tracking.experiment=1e3": "quote it: \"tracking.experiment='1e3'\"",
    "++optimizer.weight_decay=A": "optimizer.weight_decay: expected a number; got 'A'",
    "++optimizer.clipnorm=A": "optimizer.clipnorm: expected a number; got 'A'",
    "++optimizer.beta_1=[1]": "optimizer: keras.optimizers.Adam cannot take a step: ",
    "optimizer.learning_rate=true": "optimizer.learning_rate: expected a number; got true",
    "model.widths=[8,true]": "model.widths: expected a number; got [8, true]",
    "model=[deep_cnn,resnet20]": "to search several write model=deep_cnn,resnet20",
    "~seed": "seed must be set",
    "=3": "expected KEY=VALUE; got '=3'",
    "seed:x=3": "'seed:x' is no key",
    "hydra/job_logging=digits": "unknown hydra/job_logging 'digits'",
    "hydra.sweeper.params.training.epochs.x=": "cannot use 'hydra.sweeper.params.training.epochs.x='",
    "training.epochs=1,2": "add --multirun",
    "model.dense_dropout=1.5": "model.dense_dropout: input should be less than 1; got 1.5",
    "model.dense_width=abc": "model.dense_width",
    "optimizer.learning_rate=abc": "optimizer.learning_rate: input should be a valid number",
    "optimizer.learning_rate=-1": "optimizer.learning_rate: input should be greater than 0",
    "+optimizer.momentun=0.5": "momentun",
    "training.precision=float8": "mixed_bfloat16",
    "training.objective=acc": "training.objective must be one of",
    "training.objective=val_loss": "training.direction must be minimize for val_loss; got maximize",
    "training.objective=5": "training.objective must be a name",
    "training.patience=0": "training.patience must be at least 1 epoch; got 0",
    "training.threads=0": "training.threads must be at least 1; got 0",
    "training.threads=1000000": "training.threads must be at most 1024; got 1000000",
    "training.batch_size=99999999999999999999999": "training.batch_size must be at most 2147483647",
    "tracking.experiment=" + "x" * 201: "tracking.experiment must be a name of at most 200 bytes; got 201",
    "tracking.experiment=a/b": "tracking.experiment must be usable",
    "tracking=${now:%Y}": "tracking must hold keys and their values; got '${now:%Y}'",
    "model=null": "model must be one of the choices in conf/model/; got 'null'",
    "~augmentation": "augmentation must be set",
    "augmentation.layers=null": "augmentation.layers must be a list",
    "optimizer.learning_rate=inf": "optimizer.learning_rate: input should be a finite number",
    "model.dense_width=1000000000": "weights do not fit into memory",
    "~optimizer.learning_rate": "optimizer.learning_rate must be set",
    "hydra.run.dir=/proc/x": "/proc/x",
    "data.limit=5": "data.limit must be at least 20",
    "data.limit=abc": "data.limit: input should be a valid integer",
    "data.validation_fraction=1.5": "data.validation_fraction must lie in (0, 1); got 1.5",
    "data.validation_split=head": "data.validation_split",
    "data=folder": "data.path",
    "seed=-1": "seed must lie in",
    "training=[1": "cannot read 'training=[1'",
    "epochs": "expected KEY=VALUE; got 'epochs'",
    "model._target_=os.system": "not allowed",
    "model._target_=keras.layers.Lambda": "not allowed",
    "model._target_=runback.classifier.data.digits.load": (
        "model: _target_ 'runback.classifier.data.digits.load' is not allowed"
    ),
    "optimizer._target_=runback.classifier.data.digits.load": "expected an optimizer",
    "augmentation.layers=[{_target_: keras.layers.Lambda.from_config, safe_mode: false, config: {}}]": (
        "augmentation.layers.0: _target_ 'keras.layers.Lambda.from_config' is not allowed"
    ),
    "augmentation.layers=[{_target_: keras.layers.TFSMLayer.from_config, config: {}}]": "not allowed",
    "augmentation.layers=[{_target_: runback.classifier.augmentation.stack.resolve, declared: [os]}]": (
        "not allowed"
    ),
    "augmentation.layers=[{_target_: keras.layers.TimeDistributed, layer: {class_name: Lambda}}]": (
        "augmentation.layers.0.layer: an object is named by _target_, not by class_name"
    ),
    "data._target_=runback.classifier.data.download.archive": "not allowed",
    "+data.url={_target_: runback.system.files.whole_file.publish}": "data.url: _target_",
    "+model.inner={_target_: runback.classifier.models.deep_cnn.deep_cnn}": "not allowed",
    "+model.inner={1: {_target_: 5}}": "model.inner.1: _target_ 5 is not allowed",
    "model=../model/deep_cnn": "model must be a choice of conf/model/; got '../model/deep_cnn'",
    "experiment='../../x'": "experiment must be a choice of conf/experiment/",
    "model._target_=runback.classifier.models.nope.net": "not allowed: expected a network",
}


BAD_FILES = {
    None: "cannot read the config bad0.yaml: No such file",
    "a: [1": "cannot read the config bad1.yaml: while parsing",
    "- a": "must hold keys and values",
    "trainin: {epochs: 3}": "did you mean 'training'?",
    "defaults: [{override /model: deep_cn}]": "did you mean 'deep_cnn'?",
    "hydra: {callbacks: {x: {_target_: os.system, command: touch pwned}}}": "unknown key 'hydra'",
    "defaults: [{override /hydra/launcher: basic}]": "got 'override /hydra/launcher'",
    "tracking: {experiment: '${oc.env:HOME}'}": "tracking.experiment may refer to other keys only",
    "model: &a {x: *a}": "line 1: an anchor is not allowed",
    "seed: 1\nseed: 2": "found duplicate key seed",
}


def test_a_bad_config_file_is_refused_in_one_line(project):
    for number, content in enumerate(BAD_FILES):
        if content is not None:
            (project.folder / f"bad{number}.yaml").write_text(content)
    results = project.run_many(*(["train", "--config", f"bad{i}.yaml"] for i in range(len(BAD_FILES))))
    for (code, out, err), reason in zip(results, BAD_FILES.values(), strict=True):
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert reason in err
    assert not (project.folder / "mlruns").exists()


def test_no_file_of_a_projects_folder_is_a_config_but_those_of_conf_and_sweeps(project):
    flowers = project.folder / "data" / "flowers"
    flowers.mkdir(parents=True)
    out_of_stores = f"hydra: {{run: {{dir: {project.folder}/out}}}}\n"
    (flowers / "evil.yaml").write_text(f"# @package _global_\n{out_of_stores}")
    (project.folder / "own.yaml").write_text("defaults: [{/data/flowers: evil}]\ntraining: {epochs: 1}\n")
    results = project.run_many(
        ["train", "--config", "own.yaml"],
        ["train", "+sweeps=missing", "--cfg", "job"],
        ["train", "+data/flowers=evil", "--cfg", "hydra"],
        ["train", "+sweeps/../data/flowers=evil", "--cfg", "hydra"],
        ["train", "+sweeps=quickstart", "--cfg", "hydra"],
    )
    for (code, out, err), reason in zip(
        results, ("defaults may name choices of", "unknown sweeps 'missing'"), strict=False
    ):
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert reason in err
    for _, out, err in results[2:4]:
        assert f"dir: {project.folder}/out" not in out
        assert "Traceback" not in err
    code, out, err = results[-1]
    assert code == 0, err
    assert "n_trials: 16" in out
    assert not (project.folder / "out").exists()


@pytest.fixture(scope="module")
def refusals(tmp_path_factory, make_project):
    """Try all bad overrides in one project."""
    project = make_project(tmp_path_factory.mktemp("refused"))
    results = project.run_many(*(["train", override] for override in BAD_OVERRIDES))
    return project, dict(zip(BAD_OVERRIDES, results, strict=True))


@pytest.mark.parametrize("override", BAD_OVERRIDES)
def test_a_bad_override_is_refused_in_one_line(refusals, override):
    code, out, err = refusals[1][override]
    assert code == 2, err
    assert all(
        line.startswith(("data: ", "  ")) for line in out.splitlines()
    )  # said before the network is built
    assert BAD_OVERRIDES[override] in err
    assert err.startswith("runback: ")
    assert err.count("\n") == 1


def test_refused_runs_leave_nothing_in_the_stores(refusals):
    project, _ = refusals
    assert project.runs() == []
    assert not list(project.folder.glob("mlruns/runs/*"))


def refused(project, *arguments: str, **env: str) -> str:
    """Run a command that must be refused; return its one line."""
    done = project.run(*arguments, **env)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert project.runs() == []
    assert not list(project.folder.glob("mlruns/runs/*"))
    return done.stderr


def _png(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)


@pytest.fixture(scope="module")
def bad_data(tmp_path_factory, make_project):
    """Try data sets with something wrong in them; returns the one line for each."""
    folder = tmp_path_factory.mktemp("bad data")
    (folder / "train.parquet").write_bytes(b"PAR1 and no more")
    _png(folder / "one class" / "cat" / "1.png", 1)
    for label in ("cat", "dog"):
        (folder / "empty" / label).mkdir(parents=True)
        for number in range(10):
            _png(folder / "corrupt" / "train" / label / f"{number}.png", number)
    (folder / "corrupt" / "train" / "dog" / "3.png").write_bytes(b"\x89PNG but not really")
    tried = {
        "missing": ("cifar10", "nowhere"),
        "truncated": ("parquet", ""),
        "one class": ("folder", "one class"),
        "empty": ("folder", "empty"),
        "corrupt": ("folder", "corrupt"),
    }
    project = make_project(tmp_path_factory.mktemp("refused"))
    lines = [["train", f"data={data}", f"data.path='{folder / name}'"] for data, name in tried.values()]
    results = project.run_many(*lines)
    assert project.runs() == []
    return dict(zip(tried, results, strict=True))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("missing", "nowhere"),
        ("truncated", "train.parquet"),
        ("one class", "class"),
        ("empty", "image"),
        ("corrupt", "3.png"),
    ],
)
def test_data_that_cannot_be_used_is_refused_in_one_line(bad_data, data, message):
    code, _, err = bad_data[data]
    assert code == 2, err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_mlruns_that_is_not_writable_is_refused(project):
    (project.folder / "mlruns").mkdir(mode=0o555)
    assert "mlruns" in refused(project, "train")


def test_an_mlruns_that_is_a_file_is_refused(project):
    (project.folder / "mlruns").touch()
    assert "mlruns" in refused(project, "train")


def test_a_database_locked_by_another_program_is_refused(project):
    from runback.tracking.layout import Layout
    from runback.tracking.store import open_store

    open_store(Layout(project.folder))
    other = sqlite3.connect(project.folder / "mlruns" / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    done = project.run("train", RUNBACK_LOCK_TIMEOUT="1")
    other.rollback()
    other.close()
    assert done.returncode == 2
    assert "locked by another program" in done.stderr
    assert done.stderr.count("\n") == 1
    assert project.runs() == []


def test_without_a_conf_of_the_projects_own_the_packages_is_used(project):
    (project.folder / "conf").unlink()
    done = project.run("train", "data=synthetic", "training.epochs=1", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "epochs: 1" in done.stdout


def test_warming_up_leaves_the_users_own_modules_alone(project, monkeypatch):
    (project.folder / "mine_to_warm.py").write_text("raise AssertionError('imported before its trial')")
    monkeypatch.syspath_prepend(str(project.folder))
    monkeypatch.setenv("RUNBACK_ROOT", str(project.folder))
    parts = {"model": {"_target_": "mine_to_warm.network"}, **{group: {} for group in GROUPS[1:]}}
    config = OmegaConf.merge(OmegaConf.structured(TrainConfig), parts)
    warm_up(CLASSIFIER, config, threads=1)
    assert "mine_to_warm" not in sys.modules
