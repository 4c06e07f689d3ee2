import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from runback.system.config.targets import build, resolve

CONF = Path(__file__).parents[3] / "conf"
SOURCES = sorted(file.stem for file in (CONF / "data").glob("[!_]*.yaml"))
RUN_LEVEL = {"limit", "validation_fraction", "validation_split", "validation_seed"}


@pytest.fixture
def composed(tmp_path):
    """Compose the group `data` alone, under a primary config of its own."""
    (tmp_path / "primary.yaml").write_text(
        f"hydra:\n  searchpath: ['file://{CONF}']\ndefaults:\n  - data: digits\n  - _self_\n"
    )

    def compose_data(*overrides):
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            return OmegaConf.to_container(compose("primary", list(overrides)).data)

    return compose_data


def test_there_is_a_config_for_every_source():
    assert SOURCES == ["cifar10", "digits", "folder", "parquet", "synthetic"]


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_opens_with_its_command_and_shares_the_split(composed, name):
    opening = (CONF / "data" / f"{name}.yaml").read_text().partition("\ndefaults:")[0]
    assert all(line.startswith("#") for line in opening.splitlines())
    assert f"runback train data={name}" in opening
    config = composed(f"data={name}")
    assert config.keys() >= RUN_LEVEL
    assert (config["limit"], config["validation_split"], config["validation_seed"]) == (None, "stratified", 0)
    assert config["validation_fraction"] == (0.2 if name == "digits" else 0.1)


@pytest.mark.parametrize("name", SOURCES)
def test_every_knob_is_a_parameter_with_the_same_default(composed, name):
    config = composed(f"data={name}")
    knobs = {key: value for key, value in config.items() if key not in {*RUN_LEVEL, "_target_"}}
    parameters = inspect.signature(resolve(config["_target_"], "data")).parameters
    assert {key: parameters[key].default for key in knobs} == knobs
    left_out = parameters.keys() - knobs - {"split", "cache"}
    assert left_out <= {"url", "sha256"}


def test_an_override_reaches_the_source(composed, cache):
    config = composed("data=synthetic", "data.n_train=20", "data.limit=8")
    assert config["limit"] == 8
    spec = {key: value for key, value in config.items() if key not in RUN_LEVEL}
    assert len(build(spec, where="data", split="train", cache=cache)) == 20


def test_no_source_imports_tensorflow_keras_or_mlflow():
    script = (
        "import importlib, sys\n"
        f"for name in {SOURCES}: importlib.import_module('runback.classifier.data.' + name)\n"
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'optuna', 'hydra', 'sklearn'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
