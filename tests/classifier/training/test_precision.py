import math
from collections.abc import Iterator

import keras
import numpy as np
import pytest

from runback.classifier.augmentation.stack import build_stack
from runback.classifier.data.dataset import Dataset
from runback.classifier.models.deep_cnn import deep_cnn
from runback.classifier.models.resnet20 import resnet20
from runback.classifier.models.shallow_cnn import shallow_cnn
from runback.classifier.train_config import PRECISIONS
from runback.classifier.training.fit import compile_model, fit


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("model", [deep_cnn, shallow_cnn, resnet20], ids=lambda model: model.__name__)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_network_returns_float32_probabilities(model: object, precision: str) -> None:
    keras.config.set_dtype_policy(precision)
    network = model((8, 8, 1), 10)  # type: ignore[operator]
    compute = {layer.compute_dtype for layer in network.layers if isinstance(layer, keras.layers.Conv2D)}
    assert compute == {precision.removeprefix("mixed_")}
    probabilities = network(np.full((2, 8, 8, 1), 255, dtype=np.uint8))
    assert probabilities.dtype == "float32"
    np.testing.assert_allclose(np.asarray(probabilities).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_trains_behind_an_augmentation(precision: str) -> None:
    keras.config.set_dtype_policy(precision)
    labels = np.arange(40, dtype=np.int64) % 2
    images = np.broadcast_to(200 * labels.astype(np.uint8)[:, None, None, None], (40, 8, 8, 1))
    data = Dataset(images, labels, ("dark", "bright"))
    network = shallow_cnn((8, 8, 1), 2, widths=(2, 2), dense_width=4)
    augmentation = build_stack([{"_target_": "keras.layers.RandomFlip"}], (8, 8, 1), seed=1)
    model = compile_model(network, augmentation, keras.optimizers.SGD(0.05))
    result = fit(model, data, data, epochs=1, batch_size=16, seed=1, on_epoch=lambda step, metrics: None)
    assert math.isfinite(result.metrics["val_loss"])
    assert result.metrics["learning_rate"] == pytest.approx(0.05)
    assert {weight.dtype for weight in network.trainable_weights} == {"float32"}
