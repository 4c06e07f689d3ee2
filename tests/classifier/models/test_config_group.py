from pathlib import Path

import numpy as np
import pytest
import yaml

from runback.system.config.targets import build

FILES = sorted((Path(__file__).parents[3] / "conf" / "model").glob("*.yaml"))

OTHERS = {"backbone": {"weights": None, "frozen_epochs": 0, "options": {"alpha": 0.35}}}
"""What a model needs here that has weights of its own by default, and takes no images of 8 x 8 pixels."""

IMAGES = {"whitened_cnn"}
"""The models that look at the images to train on."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_model_in_conf_builds_for_digits(file: Path) -> None:
    spec = {**yaml.safe_load(file.read_text()), **OTHERS.get(file.stem, {})}
    side = 32 if file.stem in OTHERS else 8
    given = {"images": np.zeros((20, side, side, 1), np.uint8)} if file.stem in IMAGES else {}
    network = build(spec, where="model", input_shape=(side, side, 1), num_classes=10, **given)
    assert network.name == file.stem
    assert network.output_shape == (None, 10)
