from pathlib import Path

import pytest
import yaml

from runback.system.config.targets import build

FILES = sorted((Path(__file__).parents[3] / "conf" / "model").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_model_in_conf_builds_for_digits(file: Path) -> None:
    network = build(yaml.safe_load(file.read_text()), where="model", input_shape=(8, 8, 1), num_classes=10)
    assert network.name == file.stem
    assert network.output_shape == (None, 10)
