"""What a .keras file may hold: files as an attacker would change them, and as users make them."""

import base64
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from runback.classifier.models.resnet20 import resnet20
from runback.errors import InputError
from runback.keras.networks.stored_network import read_network

FACTORY = "runback.classifier.models.resnet20.resnet20"

OWN = """
import keras

@keras.saving.register_keras_serializable("own")
class Scale(keras.layers.Layer):
    def call(self, x):
        return x * 2

@keras.saving.register_keras_serializable("own")
class Evil(keras.layers.Lambda):
    pass

@keras.saving.register_keras_serializable("own")
def double(x):
    return x * 2
"""


@pytest.fixture(scope="module", autouse=True)
def own_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Register layers of a module of a project's own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_layers.py").write_text(OWN)
    sys.path.append(str(folder))
    before = dict(keras.saving.get_custom_objects())
    import own_layers  # noqa: F401

    yield
    sys.path.remove(str(folder))
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(before)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a stored network: two dense layers."""
    file = tmp_path_factory.mktemp("plain") / "model.keras"
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, name="inner"), keras.layers.Dense(2)]
    keras.Sequential([keras.Input((2, 2, 1)), *layers]).save(file)
    return file


def load(file: Path, declared: tuple[str, ...] = ()) -> keras.Model:
    return read_network(file, FACTORY, declared, "model.keras of run 1")


def refusal(file: Path, declared: tuple[str, ...] = ()) -> str:
    with pytest.raises(InputError) as caught:
        load(file, declared)
    message = str(caught.value)
    assert message.startswith("model.keras of run 1 cannot be loaded: ")
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 500
    return message


def changed(plain: Path, folder: Path, **members: Any) -> Path:
    """Copy a stored network with other members, named without their endings."""
    file = folder / "model.keras"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = members.pop(name.split(".")[0], old.read(name))
            new.writestr(name, content)
        for name, content in members.items():
            new.writestr(name, content)
    return file


def with_config(plain: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    config = json.loads(zipfile.ZipFile(plain).read("config.json"))
    change(config)
    return changed(plain, folder, config=json.dumps(config))


def with_layer(plain: Path, folder: Path, layer: Any) -> Path:
    return with_config(plain, folder, lambda config: config["config"]["layers"].append(layer))


def with_argument(plain: Path, folder: Path, name: str, value: Any) -> Path:
    return with_config(
        plain, folder, lambda config: config["config"]["layers"][2]["config"].update({name: value})
    )


# ---- what users make


def test_networks_of_runback_and_of_users_load(tmp_path):
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, kernel_constraint=keras.constraints.MaxNorm(), dtype="mixed_bfloat16")(
        image
    )
    x = keras.ops.relu(keras.layers.BatchNormalization()(x)) + 1.0
    x = keras.layers.TimeDistributed(keras.layers.Dense(2, kernel_regularizer="l2"))(x[:, 1:, :, 0])
    x = keras.layers.Bidirectional(keras.layers.GRU(2))(x)
    x = keras.layers.Activation(keras.ops.relu)(keras.ops.cast(keras.ops.reshape(x, (-1, 4)), "float32"))
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.1), keras.layers.Dense(3)])
    own = keras.Model(image, keras.layers.Dense(2, activation="softmax")(inner(x)))
    own.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    for network in (own, resnet20((8, 8, 1), 3)):
        network.save(tmp_path / "model.keras")
        loaded = load(tmp_path / "model.keras")
        images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1)).astype("uint8")
        np.testing.assert_array_equal(loaded(images), network(images))


def test_layers_that_a_declared_module_registers_load_and_others_do_not(tmp_path):
    from own_layers import Scale, double

    layers = [keras.Input((4,)), Scale(), keras.layers.Dense(2, activation=double)]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    assert len(load(tmp_path / "model.keras", ("own_layers",)).layers) == 2
    assert "which is neither on runback's list nor registered by" in refusal(tmp_path / "model.keras")


# ---- what an attacker makes

LAMBDA = {"class_name": "__lambda__", "config": {"value": base64.b64encode(b"x").decode()}}


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": LAMBDA}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},  # noqa: S108
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        {
            "module": "keras.layers",
            "class_name": "TextVectorization",
            "config": {"vocabulary": "/etc/passwd"},
        },
        {"module": "keras.src.layers.core.lambda_layer", "class_name": "Lambda", "config": {}},
        {"module": "keras.src.utils.file_utils", "class_name": "get_file", "config": {}},
        {"module": "keras.src.ops.core", "class_name": "Map", "config": {}},
        {"module": "keras.src.ops.numpy", "class_name": "Operation", "config": {}},
        {"module": "keras.layers", "class_name": "JaxLayer", "config": {}},
        {"module": "keras.utils", "class_name": "FeatureSpace", "config": {}},
        {"module": "keras.export", "class_name": "ExportArchive", "config": {}},
        {"module": "own_layers", "class_name": "Evil", "registered_name": "own>Evil", "config": {}},
        {"module": "keras.layers", "class_name": "Dense", "registered_name": "own>Evil", "config": {}},
        {"module": "keras.layers", "class_name": "own>Evil", "config": {}},
        {"class_name": "Lambda", "config": {}},
        {"class_name": "Dense", "config": {"units": 1}},
        {
            "class_name": "__typespec__",
            "spec_name": "x",
            "config": [],
            "module": "keras",
            "registered_name": None,
        },
        {"module": None, "class_name": "Dense", "config": {}},
        {"module": 5, "class_name": [], "config": {}},
        LAMBDA,
    ],
)
def test_a_layer_that_is_not_on_the_list_is_refused(plain, tmp_path, layer):
    assert "neither on runback's list" in refusal(with_layer(plain, tmp_path, layer), ("own_layers",))
    wrapped = {"module": "keras.layers", "class_name": "TimeDistributed", "config": {"layer": layer}}
    assert "neither on runback's list" in refusal(with_layer(plain, tmp_path, wrapped), ("own_layers",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation", {"class_name": "function", "module": "keras.utils", "config": "get_file"}),
        ("activation", {"class_name": "function", "module": "builtins", "config": "get_file"}),
        (
            "activation",
            {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
        ),
        ("activation", {"class_name": "function", "module": "keras.saving", "config": "load_model"}),
        ("activation", LAMBDA),
        (
            "kernel_initializer",
            {"class_name": "Lambda", "module": "keras.layers", "config": {"function": LAMBDA}},
        ),
        ("dtype", {"class_name": "ExportArchive", "module": "keras.export", "config": {}}),
    ],
)
def test_an_argument_that_is_not_on_the_list_is_refused(plain, tmp_path, name, value):
    assert "neither on runback's list" in refusal(with_argument(plain, tmp_path, name, value))


def test_a_model_that_is_no_model_of_keras_is_refused(plain, tmp_path):
    def change(config: dict[str, Any]) -> None:
        config.update({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "x"}})

    assert "neither on runback's list" in refusal(with_config(plain, tmp_path, change))
    for content in ("[]", "5", "{", "[" * 5000, "nul"):
        refusal(changed(plain, tmp_path, config=content))


@pytest.mark.parametrize("name", ["assets/x", "../x", "/etc/x", "model.weights.npz", "config.json.bak"])
def test_another_member_is_refused(plain, tmp_path, name):
    assert "it must hold config.json, metadata.json" in refusal(changed(plain, tmp_path, **{name: b"x"}))


def test_what_is_no_stored_network_is_refused(plain, tmp_path):
    for content in (b"", b"x", plain.read_bytes()[:-30]):
        (tmp_path / "model.keras").write_bytes(content)
        refusal(tmp_path / "model.keras")
    folder = tmp_path / "folder" / "model.keras"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    refusal(folder)


def test_a_file_that_unpacks_to_far_more_is_refused(plain, tmp_path):
    file = tmp_path / "model.keras"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in ("metadata.json", "config.json"):
            new.writestr(name, old.read(name))
        new.writestr("model.weights.h5", bytes(80 * 2**20))
    assert "unpack to" in refusal(file)


def weights(change: Callable[[h5py.File], None]) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        change(file)
    return content.getvalue()


def external_link(file: h5py.File) -> None:
    file["layers/inner/vars/0"] = h5py.ExternalLink("/etc/hostname.h5", "/x")


def soft_link(file: h5py.File) -> None:
    file["x"] = h5py.SoftLink("/layers")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (4,))
    file.create_virtual_dataset("x", layout)


def bomb(file: h5py.File) -> None:
    file.create_dataset("x", (2**30,), "f4")


def large_chunk(file: h5py.File) -> None:
    file.create_dataset("x", (32,), "f4", maxshape=(None,), chunks=(2**29,), compression="gzip")


def texts(file: h5py.File) -> None:
    file.create_dataset("x", data=["a", "b"], dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (external_link, "link to elsewhere"),
        (soft_link, "link to elsewhere"),
        (external_storage, "lie in another file"),
        (virtual, "lie in another file"),
        (bomb, "bytes of weights unpack to"),
        (large_chunk, "are packed"),
        (texts, "are no numbers"),
    ],
)
def test_weights_that_are_not_all_in_the_file_are_refused(plain, tmp_path, change, told):
    assert told in refusal(changed(plain, tmp_path, model=weights(change)))


def test_weights_in_a_circle_are_refused_and_not_followed_for_ever(plain, tmp_path):
    def circle(file: h5py.File) -> None:
        file.create_group("a")["again"] = file["/"]

    refusal(changed(plain, tmp_path, model=weights(circle)))


def test_a_network_that_fits_no_memory_is_refused(plain, tmp_path):
    refusal(with_argument(plain, tmp_path, "units", 2**50))


def test_a_network_that_asks_for_more_weights_than_it_holds_is_refused_before_they_are_made(plain, tmp_path):
    before = keras.Variable.__init__
    file = with_argument(plain, tmp_path, "units", 10_000_000)
    assert "it asks for 160,000,000 bytes of weights, and holds fewer" in refusal(file)
    assert keras.Variable.__init__ is before


def test_a_network_that_makes_an_image_far_larger_is_refused(plain, tmp_path):
    size = {"name": "larger", "size": [100_000, 100_000]}
    layer = {"module": "keras.layers", "class_name": "UpSampling2D", "config": size}

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"].insert(1, layer)

    before = keras.KerasTensor.__init__
    assert "between its layers are 40,000,000,000 numbers" in refusal(with_config(plain, tmp_path, change))
    assert keras.KerasTensor.__init__ is before
