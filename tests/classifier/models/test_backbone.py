"""Networks of keras.applications with weights made here: a small MobileNetV2, at 32 x 32 pixels."""

import inspect
import shutil
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from runback.classifier.models import weights_file
from runback.classifier.models.backbone import backbone, preprocessing, weights_of
from runback.classifier.models.transfer import transfer_of
from runback.errors import InputError
from runback.keras.networks.stored_network import read_network

SMALL = {"alpha": 0.35}
COLOUR = (32, 32, 3)
PUBLISHED = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"

MODULES = [name for name, one in vars(keras.applications).items() if inspect.ismodule(one)]
PREPROCESSING = [one for one in MODULES if one != "imagenet_utils"]


def mobilenet(**options: Any) -> keras.Model:
    settings: dict[str, Any] = {
        "weights": None,
        "include_top": False,
        "input_shape": COLOUR,
        "pooling": "avg",
    }
    return keras.applications.MobileNetV2(**{**settings, "alpha": 0.35, **options})


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """Return a network whose every weight is other than that of a new one."""
    keras.utils.set_random_seed(3)
    network = mobilenet()
    rng = np.random.default_rng(0)
    network.set_weights([w + 0.05 * rng.random(w.shape).astype(w.dtype) for w in network.get_weights()])
    return network


@pytest.fixture(scope="module")
def folder(trained: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    trained.save_weights(folder / "mobile.weights.h5")
    trained.save(folder / "mobile.keras")
    (folder / "cache/models").mkdir(parents=True)
    trained.save(folder / "cache/models" / PUBLISHED)
    return folder


@pytest.fixture
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(weights_file, "keras_cache", lambda: folder / "cache")
    return folder / "cache/models"


def small(weights: str | Path | None, shape: tuple[int, int, int] = COLOUR, **options: Any) -> keras.Model:
    text = None if weights is None else str(weights)
    return backbone(shape, 5, weights=text, **{"options": SMALL, **options})


def images(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (4, 32, 32, channels), dtype=np.uint8)


def answers(network: keras.Model, trained: keras.Model, colours: np.ndarray) -> np.ndarray:
    """Return what the network's last layer makes of the features that Keras' own way gives."""
    prepared = keras.applications.mobilenet_v2.preprocess_input(colours.astype(np.float32))
    return np.asarray(network.get_layer("probabilities")(trained(prepared)))


@pytest.mark.parametrize("name", PREPROCESSING)
def test_each_networks_preprocessing_is_found_out(name: str) -> None:
    preprocess = getattr(keras.applications, name).preprocess_input
    raw = images().astype(np.float32)
    flips, scale, offset = preprocessing(preprocess)
    layer = keras.layers.Rescaling(scale, offset)
    given = raw[..., ::-1] if flips else raw
    np.testing.assert_allclose(layer(given), preprocess(raw.copy()), atol=1e-4)


def test_all_kinds_of_preprocessing_are_among_them() -> None:
    kinds = {
        name: preprocessing(getattr(keras.applications, name).preprocess_input) for name in PREPROCESSING
    }
    assert kinds["vgg16"][0]
    assert kinds["mobilenet_v2"] == (False, pytest.approx([1 / 127.5] * 3), [-1.0] * 3)
    assert kinds["efficientnet"] == (False, [1.0] * 3, [0.0] * 3)
    assert len(set(kinds["densenet"][1])) == 3


def test_preprocessing_that_is_no_scaling_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be put into layers"):
        preprocessing(np.square)


@pytest.mark.parametrize("file", ["mobile.weights.h5", "mobile.keras", f"cache/models/{PUBLISHED}"])
def test_raw_images_give_what_the_trained_network_makes_of_prepared_ones(
    file: str, folder: Path, trained: keras.Model
) -> None:
    network = small(folder / file)
    np.testing.assert_allclose(network(images()), answers(network, trained, images()), atol=1e-5)
    transfer = transfer_of(network)
    assert transfer is not None
    assert transfer.weights == folder / file
    assert f"MobileNetV2 begins with the weights in {folder / file}" in transfer.notes[0]


def test_grey_images_are_repeated_in_three_channels(folder: Path, trained: keras.Model) -> None:
    network = small(folder / "mobile.weights.h5", (32, 32, 1))
    grey = images(1)
    expected = answers(network, trained, np.repeat(grey, 3, axis=-1))
    np.testing.assert_allclose(network(grey), expected, atol=1e-5)


def test_published_weights_come_from_keras_cache_and_nothing_is_downloaded(
    cache: Path, trained: keras.Model
) -> None:
    network = small("imagenet")
    np.testing.assert_allclose(network(images()), answers(network, trained, images()), atol=1e-5)
    assert (
        weights_of({"name": "MobileNetV2", "weights": "imagenet", "options": SMALL}, COLOUR)
        == cache / PUBLISHED
    )


def test_whether_the_file_was_looked_up_before_changes_no_weight_and_no_name(cache: Path) -> None:
    def built() -> tuple[list[str], np.ndarray]:
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        network = small("imagenet")
        return [weight.path for weight in network.weights], network.get_layer("probabilities").kernel.numpy()

    first, again = built(), built()
    assert weights_of({"weights": "imagenet", "options": SMALL}, COLOUR) == cache / PUBLISHED
    last = built()
    for paths, kernel in (again, last):
        assert paths == first[0]
        np.testing.assert_array_equal(kernel, first[1])


def test_published_weights_that_are_not_there_are_one_line_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_file, "keras_cache", lambda: tmp_path)
    with pytest.raises(InputError) as caught:
        small("imagenet")
    assert str(caught.value).endswith(
        f"put {PUBLISHED} at {tmp_path / 'models' / PUBLISHED}, or set model.weights=FILE"
    )


def test_a_file_in_the_cache_that_is_not_the_published_one_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(folder / "mobile.keras", tmp_path / "models/efficientnetb0_notop.h5")
    monkeypatch.setattr(weights_file, "keras_cache", lambda: tmp_path)
    with pytest.raises(InputError, match="is not the file that Keras publishes"):
        backbone(COLOUR, 5, name="EfficientNetB0")


def test_the_layer_that_keras_adds_for_published_weights_is_there_for_a_file_with_their_statistics(
    tmp_path: Path,
) -> None:
    options: dict[str, Any] = {"include_top": False, "pooling": "avg", "input_shape": COLOUR}
    network = keras.applications.EfficientNetB0(weights=None, **options)
    file = tmp_path / "efficient.weights.h5"
    network.save_weights(file)
    own = transfer_of(backbone(COLOUR, 5, name="EfficientNetB0", weights=str(file)))
    statistics = next(one for one in network.layers if isinstance(one, keras.layers.Normalization))
    statistics.set_weights(
        [np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]) ** 2, np.array(0)]
    )
    network.save_weights(file)
    published = transfer_of(backbone(COLOUR, 5, name="EfficientNetB0", weights=str(file)))
    assert own is not None
    assert published is not None
    scalings = [
        sum(isinstance(one, keras.layers.Rescaling) for one in transfer.base.layers)
        for transfer in (own, published)
    ]
    assert scalings == [1, 2]
    first = next(one for one in published.base.layers if isinstance(one, keras.layers.Normalization))
    np.testing.assert_allclose(np.ravel(first.mean), [0.485, 0.456, 0.406])


def test_new_weights_are_trained_like_any_others() -> None:
    network = small(None, frozen_epochs=0)
    assert transfer_of(network) is None
    assert all(layer.trainable for layer in network.layers)


def test_weights_of_a_network_with_its_top_are_used_without_it_and_that_is_said(
    tmp_path: Path, trained: keras.Model
) -> None:
    whole = mobilenet(include_top=True, classes=7)
    whole.set_weights([*trained.get_weights(), *whole.get_weights()[-2:]])
    whole.save_weights(tmp_path / "top.weights.h5")
    network = small(tmp_path / "top.weights.h5")
    np.testing.assert_allclose(network(images()), answers(network, trained, images()), atol=1e-5)
    transfer = transfer_of(network)
    assert transfer is not None
    assert transfer.notes[1].endswith(
        "has 2 arrays more than MobileNetV2 without its top, which are not used"
    )


def test_it_is_stored_and_loaded_in_safe_mode(folder: Path, tmp_path: Path) -> None:
    network = small(folder / "mobile.weights.h5", (32, 32, 1))
    network.save(tmp_path / "network.keras")
    again = read_network(tmp_path / "network.keras", "runback.classifier.models.backbone.backbone", (), "it")
    np.testing.assert_array_equal(again(images(1)), network(images(1)))


def test_other_files_than_its_own_weights_are_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no weights")
    (tmp_path / "cut.weights.h5").write_bytes((folder / "mobile.weights.h5").read_bytes()[:20_000])
    (tmp_path / "cut.keras").write_bytes((folder / "mobile.keras").read_bytes()[:20_000])
    mobilenet(alpha=0.5).save_weights(tmp_path / "wider.weights.h5")
    with h5py.File(tmp_path / "linked.weights.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "x")
    for name, message in {
        "text.h5": "cannot be loaded: ",
        "cut.weights.h5": "cannot be loaded: ",
        "cut.keras": "cannot be loaded: ",
        "linked.weights.h5": "its weights link to elsewhere",
        "wider.weights.h5": "does not fit MobileNetV2 without its top: ",
        "absent.weights.h5": "there is no file",
        "weights.pt": "or a file that ends in .weights.h5, .h5, .hdf5, .keras",
    }.items():
        with pytest.raises(InputError) as caught:
            small(tmp_path / name)
        assert message in str(caught.value)
        assert str(caught.value).startswith("model.weights")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (8, 8, 1)}, "MobileNetV2 needs images of at least 32x32 pixels; got 8x8: set data.height"),
        ({"name": "MobileNetV9"}, "no network 'MobileNetV9'; did you mean 'MobileNetV"),
        ({"name": "resnet_v2"}, "no network 'resnet_v2'"),
        (
            {"options": {"alpah": 1}},
            "model.options.alpah: MobileNetV2 has no such option; did you mean 'alpha'?",
        ),
        ({"options": {"include_top": True}}, "model.options.include_top: MobileNetV2 has no such option"),
        ({"name": "VGG16", "options": {"alpha": 1}}, "VGG16 has no such option; it has none"),
        ({"options": {"alpha": "wide"}}, "MobileNetV2: "),
        ({"frozen_epochs": 2}, "model.frozen_epochs needs weights that were trained before"),
    ],
)
def test_what_cannot_be_built_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        small(None, **{"frozen_epochs": 0, **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_without_weights_begins_with_the_default_ones(cache: Path) -> None:
    with pytest.raises(InputError, match=r"weights of MobileNetV2 are not in Keras' cache"):
        weights_of({}, (224, 224, 3))
    assert weights_of({"weights": None}, (32, 32, 3)) is None
