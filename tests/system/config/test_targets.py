import builtins
import functools
import gc
import importlib
import inspect
import os
import pkgutil
import random
import sys
import sysconfig
import types
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy
import pydantic
import pytest
import tensorflow

import runback
from runback.errors import InputError
from runback.system.config import allowed, targets
from runback.system.text import excerpt, listing

LAYER = "augmentation.layers.0"

OWN = """
import os, subprocess
from os import system
from subprocess import Popen
import functools
import heapq
import keras
import numpy as np

def network(input_shape, num_classes, *, width: int = 4):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(num_classes)])

class Shift(keras.layers.Layer):
    @classmethod
    def make(cls, **kwargs):
        return cls(**kwargs)

class Evil(keras.layers.Lambda):
    pass

instance = Shift()
partial = functools.partial(network, width=2)
bound = Shift.make
_hidden = network
"""


@pytest.fixture(scope="module", autouse=True)
def own_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make a module of a project's own importable."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_parts.py").write_text(OWN)
    sys.path.append(str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("own_parts", None)


HOMES = {
    *("keras.initializers", "keras.layers", "keras.losses", "keras.metrics", "keras.optimizers"),
    *("keras.optimizers.schedules", "keras.regularizers"),
    *("optuna.pruners", "optuna.samplers", "optuna.samplers.nsgaii"),
    *(
        "runback.classifier.augmentation.alternating_flip",
        "runback.classifier.augmentation.pad_crop",
        "runback.classifier.augmentation.random_affine",
        "runback.classifier.data.cifar10",
        "runback.classifier.data.digits",
        "runback.classifier.data.folder",
    ),
    *(
        "runback.sweeping.deciding.best_so_far",
        "runback.sweeping.deciding.promotion",
        "runback.classifier.data.parquet",
        "runback.classifier.data.synthetic",
        "runback.classifier.models.backbone",
        "runback.classifier.models.deep_cnn",
    ),
    *(
        "runback.classifier.models.resnet20",
        "runback.classifier.models.shallow_cnn",
        "runback.classifier.models.whitened_cnn",
        "runback.sweeping.space.grid",
    ),
    "runback.classifier.training.schedule",
}
"""The modules whose functions and classes a config may name."""


def refusal(spec: Any, where: str, declared: tuple[str, ...] = ("own_parts",), **given: Any) -> str:
    with pytest.raises(InputError) as caught:
        targets.build(spec, where=where, declared=declared, **given)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 500
    return message


def attempt(spec: Any, where: str, **given: Any) -> str | None:
    """Build what a config names; return why that was refused, None where it was not."""
    try:
        targets.build(spec, where=where, declared=("own_parts",), **given)
    except InputError as error:
        return str(error)
    return None


# ---- names


@pytest.mark.parametrize("group", allowed.GROUPS)
def test_everything_on_the_list_exists_and_is_a_function_or_a_class(group):
    for path in allowed.GROUPS[group] | allowed.INNER[group]:
        module, _, name = path.rpartition(".")
        found = getattr(importlib.import_module(module), name)
        assert inspect.isfunction(found) or inspect.isclass(found), path


def test_nothing_on_the_list_descends_from_what_runs_or_reads_what_it_is_given():
    layers = [getattr(keras.layers, path.rpartition(".")[2]) for path in allowed.LAYERS]
    assert [layer for layer in layers if targets.unsafe_layer(layer)] == []


def test_the_list_holds_no_name_of_another_module():
    assert {path.rpartition(".")[0] for path in LISTED} <= HOMES


def test_a_name_is_accepted_where_the_list_has_it_and_nowhere_else(monkeypatch):
    for told in ("_hint", "_shown"):  # writing half a million messages takes long
        monkeypatch.setattr(targets, told, lambda *_: "")
    for name in ("joblib", "mlflow", "optuna", "pandas", "pickle", "scipy", "sklearn", "subprocess"):
        importlib.import_module(name)
    names = {*public_names(), *LISTED}
    inner_parts = tuple(f"{root}." for root in OF_ROOTS)  # what these show in public is there already
    for module, content in list(sys.modules.items()):
        if module.startswith(inner_parts):
            continue
        names |= {module, *(f"{module}.{name}" for name in list(vars(content)) if not name.startswith("_"))}
    assert {"subprocess.run", "pickle.loads", "joblib.load", "shutil.rmtree", "hydra.main"} <= names
    kinds = {(True, listed): group for group, listed in allowed.INNER.items()}
    kinds |= {(False, listed): group for group, listed in allowed.GROUPS.items()}
    for (inner, listed), group in kinds.items():
        accepted = {name for name in names if is_accepted(name, group, inner=inner)}
        own = {name for name in accepted if not inner and name.startswith("own_parts.")}
        assert accepted - own == listed


def is_accepted(name: str, group: str, *, inner: bool) -> bool:
    try:
        targets._check_name(name, group, ("own_parts",), inner=inner)
    except InputError:
        return False
    return True


@pytest.mark.parametrize(
    ("where", "path"),
    [
        (LAYER, "keras.layers.Lambda"),
        (LAYER, "keras.layers.Lambda.from_config"),
        (LAYER, "keras.layers.TFSMLayer"),
        (LAYER, "keras.layers.TFSMLayer.from_config"),
        (LAYER, "keras.layers.StringLookup"),
        (LAYER, "keras.layers.TextVectorization"),
        (LAYER, "keras.layers.Dense.from_config"),
        (LAYER, "keras.layers.deserialize"),
        (LAYER, "keras.layers.os"),
        (LAYER, "keras.saving.load_model"),
        (LAYER, "keras.src.layers.Dense"),
        (LAYER, "keras.layers.RandomFlip "),
        (LAYER, "keras.layers..RandomFlip"),
        (LAYER, "runback.classifier.augmentation.stack.resolve"),
        (LAYER, "runback.classifier.augmentation.stack.build"),
        (LAYER, "runback.classifier.data.digits.load"),
        (LAYER, "own_parts.Shift.make"),
        (LAYER, "own_parts.Shift.from_config"),
        (LAYER, "own_parts.bound"),
        (LAYER, "own_parts.instance"),
        (LAYER, "own_parts.Evil"),
        (LAYER, "own_parts._hidden"),
        (LAYER, "own_parts.system"),
        (LAYER, "own_parts.Popen"),
        (LAYER, "own_parts.os.system"),
        (LAYER, "own_parts.np.load"),
        (LAYER, "own_parts.keras.layers.Dense"),
        (LAYER, "own_parts"),
        (LAYER, "own_parts.nothing"),
        (LAYER, ""),
        (LAYER, "."),
        (LAYER, "\x1b[8m\n"),
        (LAYER, "x" * 100_000),
        ("model", "own_parts.partial"),
        ("model", "keras.applications.MobileNetV2"),
        ("model", "keras.Sequential"),
        ("model", "runback.classifier.models.deep_cnn.require_size"),
        ("model", "runback.classifier.models.deep_cnn.keras.saving.load_model"),
        ("model", "runback.classifier.data.digits.load"),
        ("data", "runback.classifier.data.download.archive"),
        ("data", "runback.system.files.whole_file.publish"),
        ("data", "runback.classifier.data.split.split"),
        ("data", "runback.classifier.models.deep_cnn.deep_cnn"),
        ("optimizer", "runback.classifier.data.digits.load"),
        ("optimizer", "keras.layers.Dense"),
        ("optimizer", "keras.optimizers.get"),
        ("optimizer", "keras.optimizers.Adam.from_config"),
        ("optimizer", "keras.optimizers.LossScaleOptimizer"),
        ("optimizer", "keras.optimizers.Muon"),
        ("schedule", "keras.optimizers.Adam"),
        ("schedule", "runback.classifier.training.schedule.constant.__call__"),
        ("schedule", "runback.classifier.training.fit.fit"),
        ("hydra.sweeper.sampler", "optuna.samplers.TPESampler.hyperopt_parameters"),
        ("hydra.sweeper.sampler", "optuna.load_study"),
        ("hydra.sweeper.sampler", "optuna.pruners.MedianPruner"),
        ("hydra.sweeper.sampler", "own_parts.network"),
        ("hydra.sweeper.sampler", "runback.sweeping.space.grid.is_finite"),
        ("hydra.sweeper.pruner", "optuna.samplers.TPESampler"),
        ("hydra.sweeper.pruner", "runback.sweeping.study.study_store.read_study"),
        *(
            (LAYER, odd)
            for odd in (None, 5, True, 1.5, [], {}, ["keras.layers.Dense"], b"keras.layers.Dense")
        ),
    ],
)
def test_what_is_not_on_the_list_of_its_group_is_refused_in_one_line(where, path):
    assert where in refusal({"_target_": path}, where)


@pytest.mark.parametrize("where", ["model", "data", "optimizer", "schedule", LAYER])
@pytest.mark.parametrize(
    "path",
    [
        "runback.classifier.data.digits.load",
        "runback.system.files.whole_file.publish",
        "runback.classifier.models.deep_cnn.deep_cnn",
        "runback.classifier.augmentation.pad_crop.PadCrop",
        "own_parts.network",
        "own_parts.Shift",
        "keras.layers.Lambda",
        "os.system",
        None,
    ],
)
def test_arguments_name_listed_objects_of_keras_only(where, path):
    outer = min(allowed.GROUPS[where.split(".")[0]])
    for argument in ({"_target_": path}, [{"_target_": path}], {"a": {"b": [{"_target_": path}]}}):
        assert "is not allowed" in refusal({"_target_": outer, "name": argument}, where)


@pytest.mark.parametrize(
    "argument",
    [
        {"class_name": "Lambda", "config": {}},
        {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}},
        {"registered_name": "runback>PadCrop", "config": {}},
        [{"class_name": "__lambda__", "config": {"value": "x"}}],
        {"inner": {"class_name": "function", "config": "relu", "module": "builtins"}},
    ],
)
def test_a_dict_that_keras_would_build_from_is_refused(argument):
    spec = {"_target_": "keras.layers.TimeDistributed", "layer": argument}
    assert "an object is named by _target_" in refusal(spec, LAYER)
    nested = {"_target_": "keras.layers.Pipeline", "layers": [spec]}
    assert "an object is named by _target_" in refusal(nested, LAYER)


def test_the_name_of_a_registered_object_is_refused():
    importlib.import_module("runback.classifier.augmentation.pad_crop")
    spec = {"_target_": "keras.layers.Dense", "units": 1, "kernel_initializer": "runback>PadCrop"}
    assert "augmentation.layers.0.kernel_initializer: an object is named by" in refusal(spec, LAYER)


@pytest.mark.parametrize("key", [1, None, True, 1.5, b"x", ("a", "b"), "a.b", "", "\x1b[8m", "a b"])
def test_an_odd_key_is_refused_in_one_line(key):
    for spec in ({"_target_": "keras.layers.Dense", key: 1}, {"_target_": "own_parts.Shift", key: {"a": 1}}):
        assert "expected the name of a parameter" in refusal(spec, LAYER)


def test_a_bottomless_tree_is_refused_in_one_line():
    spec: dict[str, Any] = {"_target_": "keras.layers.Pipeline"}
    spec["layers"] = [spec]
    assert "levels deep" in refusal(spec, LAYER)


def test_nothing_is_called_where_any_part_of_a_config_is_refused(tmp_path):
    spec = {
        "_target_": "runback.classifier.data.synthetic.load",
        "num_classes": {"_target_": "keras.layers.Dense", "units": 1},
        "n_train": {"_target_": "os.getpid"},
    }
    with Witness({"os.getpid": os.getpid}) as witness:
        told = attempt(spec, "data", split="train", cache=tmp_path)
    assert witness.called == []
    assert witness.counted == 0
    assert "data.n_train: _target_ 'os.getpid' is not allowed" in str(told)


def test_what_the_own_modules_define_is_built_with_parts_of_keras():
    spec = {
        "_target_": "own_parts.Shift",
        "activity_regularizer": {"_target_": "keras.regularizers.L2", "l2": 0.1},
    }
    layer = targets.build(spec, where=LAYER, declared=("own_parts",))
    assert type(layer).__name__ == "Shift"
    assert layer.activity_regularizer.l2 == pytest.approx(0.1)
    assert "is not allowed" in refusal(spec, LAYER, declared=())


def test_checking_names_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "never_imported.py").write_text("raise AssertionError")
    monkeypatch.syspath_prepend(str(tmp_path))
    targets.check({"_target_": "never_imported.net", "x": [1, None]}, "model", ("never_imported",))
    assert "never_imported" not in sys.modules


@pytest.mark.parametrize(
    "name", ["os", "subprocess", "builtins", "keras", "runback", "tensorflow", "numpy", "_x"]
)
def test_only_a_projects_own_modules_can_be_declared(tmp_path, name):
    (tmp_path / "pyproject.toml").write_text(f'[tool.runback]\nmodules = ["mine", "{name}"]\n')
    with pytest.raises(InputError, match=f"modules are the project's own; {name} is not"):
        targets.declared_modules(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff[tool", "is no TOML: "),
        (b"tool = 5", "[tool.runback] must be a table; got 5"),
        (b"[tool]\nrunback = [1]", "[tool.runback] must be a table; got [1]"),
        (b"[tool.runback]\nmodules = 5", "must be a list of top-level module names; got 5"),
    ],
)
def test_a_pyproject_that_cannot_be_read_is_refused_in_one_line(tmp_path, content, said):
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(InputError) as refused:
        targets.declared_modules(tmp_path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


# ---- whatever a config names, only listed objects are called

TREES = 20_000

ROOTS = (keras, tensorflow, runback, numpy, builtins, os)
OF_ROOTS = {root.__name__ for root in ROOTS}


@functools.cache
def public_names() -> dict[str, Any]:
    """Return what can be called and reached from the modules by public names, through classes too."""
    for one in pkgutil.walk_packages(runback.__path__, "runback."):
        if one.name not in ("runback.__main__", "runback.tracking.server.ui_app"):  # they start something
            importlib.import_module(one.name)
    found: dict[str, Any] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [(root.__name__, root) for root in ROOTS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are deprecated
        while waiting:
            prefix, holder = waiting.pop(0)
            if id(holder) in seen:
                continue
            seen.add(id(holder))
            for name in [name for name in dir(holder) if not name.startswith("_")]:
                value = getattr(holder, name, None)
                if isinstance(value, types.ModuleType):
                    if vars(value).get("__name__", "").split(".")[0] in OF_ROOTS:
                        waiting.append((f"{prefix}.{name}", value))
                elif callable(value):
                    found[f"{prefix}.{name}"] = value
                    if isinstance(value, type) and isinstance(holder, types.ModuleType):
                        waiting.append((f"{prefix}.{name}", value))
    return found


class Trees:
    """Makes random config trees, reproducibly."""

    def __init__(self, names: list[str], own: list[str], seed: int) -> None:
        self.names = names
        self.own = own
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.listed = {group: sorted(paths) for group, paths in allowed.GROUPS.items()}
        self.inner = {group: sorted(paths) for group, paths in allowed.INNER.items()}

    def target(self, group: str, depth: int = 0) -> dict[Any, Any]:
        """Return a mapping that names something, and its arguments: some such mappings again."""
        listed = self.inner[group] if depth else self.listed[group]
        path = self.random.choice(self.random.choices((listed, self.own, self.names), (5, 2, 3))[0])
        if self.random.random() < 0.15:
            path += self.random.choice([".from_config", ".get_config", ".__init__", ".__call__", "", ".x"])
        spec: dict[Any, Any] = {"_target_": path}
        for _ in range(self.random.randrange(3)):
            spec[self.key()] = self.value(group, depth + 1)
        return spec

    def key(self) -> Any:
        names = (
            "units",
            "layer",
            "layers",
            "rate",
            "factor",
            "config",
            "filters",
            "url",
            "path",
            "seed",
            "name",
        )
        return self.random.choice([*names, *names, "safe_mode", "declared", "class_name", 5, "a.b"])

    def value(self, group: str, depth: int) -> Any:
        kind = self.random.randrange(8) if depth < 4 else 7
        if kind < 3:
            return self.target(group, depth)
        if kind == 3:
            return [self.target(group, depth), self.value(group, depth + 1)]
        if kind == 4:
            return {self.key(): self.value(group, depth + 1)}
        if kind == 5:
            return {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "x"}}
        return self.random.choice(
            [0, 1, 4, 0.5, "x", "relu", "true", None, True, [1, 2], self.random.choice(self.names)]
        )


def codes(*functions):
    """Return the code of functions and of the comprehensions in them."""
    own = [function.__code__ for function in functions]
    return {*own, *(inner for code in own for inner in code.co_consts if isinstance(inner, types.CodeType))}


READING = {
    *(os.getenv.__code__, os._Environ.__getitem__.__code__),
    *(os.environ.encodekey.__code__, os.environ.encodevalue.__code__, os.environ.decodevalue.__code__),
    listing.nearest.__code__,
    *codes(excerpt.telling_line, excerpt.said, excerpt.excerpt),
}
"""Pydantic reads an environment variable, for each function that it checks the arguments of; a refusal looks
for the nearest name, and for an exception's telling line."""

PACKAGES = sysconfig.get_paths()["purelib"]

MACHINERY = (
    *(targets.__file__, allowed.__file__, __file__, str(Path(pydantic.__file__).parent)),
    *(f"{PACKAGES}/{name}" for name in ("typing_inspection", "typing_extensions.py", "annotated_types")),
)
"""Files, besides the standard library, whose functions run while what a config names is found and checked."""

LOOKING = {targets._resolved.__code__, targets._refuse_what_is_not_own.__code__}
"""They look at what a name means before they refuse it: theirs is what they return."""

USED = (
    len,
    min,
    max,
    next,
    ascii,
    isinstance,
    issubclass,
    getattr,
    hasattr,
    callable,
    any,
    all,
    repr,
    id,
    dir,
)
USED += (sorted, iter, hash, sum, vars, builtins.__import__)
"""What the machinery calls itself, of what a config could name."""


class Witness:
    """Notes what is called because a config names it: Python's profiler, which knows nothing of the rules.

    Counted are calls that begin where no other counted call runs: a layer may call what it likes. A class
    or another object that is no function gives the profiler no event; so whatever a name is resolved to is
    counted as called when it is held by `targets`.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.called: list[Any] = []
        """What must not have been."""
        self.counted = 0
        self._inside: types.FrameType | None = None
        self._expected = {code for path in LISTED for code in codes(resolved(path))}
        self._expected |= codes(keras.saving.get_custom_objects)
        fine = {id(resolved(path)) for path in LISTED} | {id(one) for one in USED}
        self._unlisted = {id(one): path for path, one in names.items() if id(one) not in fine}

    def __enter__(self) -> "Witness":
        # What other tests' libraries let the garbage collector call, no config names.
        self._callbacks, gc.callbacks[:] = gc.callbacks[:], []
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.callbacks[:] = self._callbacks

    def _note(self, frame: types.FrameType, event: str, arg: Any) -> None:
        if self._inside is not None:
            if event == "return" and frame is self._inside:
                self._inside = None
        elif event == "call":
            self._note_call(frame)
        elif event == "c_call" and id(arg) in self._unlisted:
            file, known = frame.f_code.co_filename, arg.__module__ == "builtins"
            if file == targets.__file__ or (file.startswith(MACHINERY) and not known):
                self.called.append(self._unlisted[id(arg)])
        elif event == "return" and frame.f_code.co_filename == targets.__file__:
            local = () if frame.f_code in LOOKING else frame.f_locals.values()
            held = [one for one in (arg, *local) if callable(one)]
            self.called += [self._unlisted[id(one)] for one in held if self._is_unlisted(one)]

    def _note_call(self, frame: types.FrameType) -> None:
        if not is_machinery(frame.f_code.co_filename) and frame.f_code not in READING:
            self._inside = frame
            self.counted += frame.f_code not in codes(keras.saving.get_custom_objects)
            if frame.f_code not in self._expected:
                self.called.append(f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}")

    def _is_unlisted(self, one: Any) -> bool:
        return id(one) in self._unlisted and not (isinstance(one, type) and issubclass(one, BaseException))


@functools.cache
def is_machinery(file: str) -> bool:
    if file in ("<frozen os>", os.__file__):
        return False
    of_python = file.startswith((sysconfig.get_paths()["stdlib"], "<frozen", "<string>"))
    return file.startswith(MACHINERY) or (of_python and not file.startswith(PACKAGES))


LISTED = sorted({*set().union(*allowed.GROUPS.values(), *allowed.INNER.values())})


def resolved(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def codes(one: Any) -> set[types.CodeType]:
    """Return the code that runs first when an object is called, or what it makes is shown in a message."""
    if not isinstance(one, type):
        return {inspect.unwrap(one).__code__, one.__code__}
    makers = [
        vars(base).get(name)
        for base in one.__mro__
        for name in ("__new__", "__init__", "__post_init__", "__call__", "__repr__")
    ]
    makers += [vars(base).get("__call__") for base in type(one).__mro__]
    functions = [getattr(maker, "__func__", maker) for maker in makers]
    return {
        code for f in functions if hasattr(f, "__code__") for code in (f.__code__, inspect.unwrap(f).__code__)
    }


GIVEN: Mapping[str, Mapping[str, Any]] = {
    "model": {},
    "data": {"split": "train"},
    "optimizer": {"learning_rate": 0.1},
    "schedule": {"learning_rate": 0.1, "epochs": 2, "steps_per_epoch": 3},
    "augmentation.layers.0": {"dtype": "float32"},
    "hydra.sweeper.sampler": {},
    "hydra.sweeper.pruner": {},
}
"""What runback itself gives to what it builds; a model's shape is left out, which would take minutes."""


def test_whatever_a_config_names_nothing_but_listed_objects_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNBACK_CIFAR10", str(tmp_path / "none"))
    importlib.import_module("own_parts")
    attempt({"_target_": "own_parts.network"}, "model")  # the first time it looks for plugins
    names = public_names()
    assert len(names) > 10_000
    trees = Trees([*names], [f"own_parts.{name}" for name in dir(sys.modules["own_parts"])], seed=1)
    witness, built = Witness(names), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(TREES):
            where = trees.random.choice(list(GIVEN))
            spec = trees.target(where.partition(".layers")[0])
            given = {**GIVEN[where], **({"cache": tmp_path} if where == "data" else {})}
            with witness:
                told = attempt(spec, where, **given)
            built += told is None
            assert "\n" not in (told or ""), spec
            assert witness.called == [], (number, spec)
    assert built > TREES / 20


@pytest.mark.parametrize(
    ("value", "is_refused"),
    [(True, True), ([1, False], True), (1, False), (1.5, False), ([1, 2], False), ("2", False)],
)
def test_true_is_no_number(value, is_refused):
    def takes(x: float | list[float]):
        return x

    if is_refused:
        with pytest.raises(InputError, match=r"model\.x: expected a number; got"):
            targets.call(takes, {"x": value}, where="model")
    else:
        assert targets.call(takes, {"x": value}, where="model") == (2.0 if value == "2" else value)


def test_true_stays_true_where_it_is_expected():
    def takes(x: bool, y: list[bool]):
        return x, y

    assert targets.call(takes, {"x": True, "y": [False]}, where="model") == (True, [False])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Error when deserializing class 'Mine'.\n\nException encountered: no such depth", "no such depth"),
        (
            "Exception encountered when calling Mine.call().\n\n\x1b[1mno shape\x1b[0m\n\nArguments:",
            "no shape",
        ),
        ("Error when deserializing class 'Mine' using config={}.\n\nan unknown name", "an unknown name"),
        ("", "ValueError"),
    ],
)
def test_of_what_keras_raises_the_line_that_says_what_is_wrong_is_told(text, told):
    def network() -> None:
        raise ValueError(text)

    with pytest.raises(InputError) as caught:
        targets.call(network, {}, where="model", name="mine")
    assert str(caught.value) == f"model: mine: {told}"
