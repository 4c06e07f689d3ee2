"""What comes from the environment stays there: in the record, in a reproduction, and where it is refused."""

import json
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from runback.errors import InputError
from runback.system.config.written_config import refuse_environment, written

SMALL = ("training.epochs=1", "training.threads=1", "data.limit=60")


@pytest.fixture(scope="module")
def trained(module_project):
    """Return a project with a run that takes a value from the environment, and the run's ID."""
    folder = module_project.folder
    (folder / "pyproject.toml").write_text('[tool.runback]\nmodules = ["nets"]\n')
    (folder / "nets.py").write_text(
        "import keras\n\n\n"
        "def build(input_shape, num_classes, *, dsn, width, note=''):\n"
        "    assert dsn == 'postgresql://me:planted/7@host/db' and width == 4\n"
        "    image = keras.Input(input_shape)\n"
        "    hidden = keras.layers.Dense(width)(keras.layers.Flatten()(image))\n"
        "    return keras.Model(image, keras.layers.Dense(num_classes, 'softmax')(hidden))\n"
    )
    (folder / "conf").unlink()
    shutil.copytree(Path(__file__).parents[3] / "conf", folder / "conf")
    (folder / "conf" / "model" / "own.yaml").write_text(
        "_target_: nets.build\nwidth: ${oc.decode:${oc.env:WIDTH}}\n"
    )
    done = module_project.run(
        *("train", "model=own", "+model.dsn=${oc.env:MY_DSN}"),
        *SMALL,
        **_environment(),
    )
    assert done.returncode == 0, done.stderr
    return module_project, done.stdout.split()[-1]


def _environment() -> dict[str, str]:
    return {"MY_DSN": "postgresql://me:planted/7@host/db", "WIDTH": "4"}


def test_the_record_has_references_and_says_which_variables_they_read(trained):
    project, run_id = trained
    artifacts = project.folder / "mlruns" / "artifacts" / "runback" / run_id / "artifacts"
    config = OmegaConf.load(artifacts / "config.yaml")
    record = json.loads((artifacts / "record" / "record.json").read_text())
    assert OmegaConf.to_container(config)["model"]["dsn"] == "${oc.env:MY_DSN}"
    assert record["variables"] == {"model.dsn": ["MY_DSN"], "model.width": ["WIDTH"]}
    assert record["secrets"] == []
    params = project.client().get_run(run_id).data.params
    assert params["model.dsn"] == "${oc.env:MY_DSN}"
    assert "${oc.env:MY_DSN}" in (artifacts / "overrides.yaml").read_text()


def test_a_reproduction_reads_the_variables_again(trained):
    project, run_id = trained
    done = project.run("reproduce", run_id, "--in-place", **_environment())
    assert done.returncode == 0, done.stderr
    assert "bit-identical" in done.stdout
    evaluated = project.run("evaluate", run_id, **_environment())
    assert evaluated.returncode == 0, evaluated.stderr


def test_a_variable_that_is_missing_is_named_in_one_line(trained):
    project, run_id = trained
    before = len(project.runs())
    for arguments in (("reproduce", run_id, "--in-place"), ("train", "+model.dsn=${oc.env:MY_DSN}")):
        done = project.run(*arguments, WIDTH="4")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "'MY_DSN' not found" in done.stderr
        assert "model.dsn" in done.stderr
    assert len(project.runs()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "tracking.experiment=${oc.env:WIDTH}"),
        ("train", "-m", "tracking.experiment=${oc.env:WIDTH}", "seed=1,2"),
        ("train", "-m", "hydra.sweeper.name=${oc.env:WIDTH}", "seed=1,2"),
        ("train", "-m", "hydra.sweeper.experiment=${oc.env:WIDTH}", "seed=1,2"),
    ],
)
def test_names_of_folders_do_not_come_from_the_environment(project, arguments):
    done = project.run(*arguments, *SMALL, WIDTH="planted-width")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "must not come from the environment" in done.stderr
    assert "planted-width" not in done.stderr
    assert not list((project.folder / "mlruns").rglob("*planted-width*"))


@pytest.mark.parametrize("key", ["tracking.experiment", "hydra.sweeper.name"])
def test_names_of_folders_hold_no_secret(project, key):
    many = () if key.startswith("tracking") else ("-m", "seed=1,2")
    done = project.run("train", *many, f"{key}='of password=plnt-41-name'", *SMALL)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "must hold no secret" in done.stderr
    assert "plnt-41" not in done.stderr
    assert not list((project.folder / "mlruns").rglob("*plnt-41*"))


def test_an_experiment_that_is_reached_by_a_reference_is_refused_too(monkeypatch):
    monkeypatch.setenv("WHO", "planted")
    cfg = OmegaConf.create({"a": "${oc.env:WHO}", "tracking": {"experiment": "${a}"}})
    with pytest.raises(InputError, match=r"tracking\.experiment must not come from the environment"):
        refuse_environment(written(cfg))


def test_a_secret_that_a_reference_leads_to_is_hidden():
    cfg = OmegaConf.create({"password": "planted99", "copy": "${password}"})
    config = written(cfg)
    assert config.tree == {"password": "***", "copy": "***"}
    assert config.left_out == ["password", "copy"]
