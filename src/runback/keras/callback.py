"""`runback.keras.Callback`: records a training by `fit`, so that it can go on and come out again."""

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from runback.errors import Diverged, InputError
from runback.keras import keras_internals
from runback.keras.tensorflow_build import tensorflow_build
from runback.provenance.config_hash import text_hash
from runback.provenance.fingerprint import tensor_hashes
from runback.runs.live.run import Run
from runback.runs.live.seeds import generator_states, restore_generators

SHARE = 0.05
"""The share of a training's time that its checkpoints may take."""

SETTINGS = ("params", "_params", "min_delta")
"""Attributes of callbacks that are no state; Keras turns the sign of `min_delta` round in the first epoch."""


class Callback(keras.callbacks.Callback):
    """Records the epochs of any Keras model in a run: its curves, its checkpoints, its result.

        model.fit(x, y, epochs=epochs, callbacks=[runback.keras.Callback(run)])

    Whatever `fit` measures is logged after each epoch, with `learning_rate` and `epoch_seconds`; in a sweep
    the objective among it is reported, and the trial may end there. After an epoch a checkpoint is written of
    all variables: the model's, its optimizers', its random generators', and the state of the other callbacks;
    after the last one always, after fewer of the others where that would take more than a twentieth of the
    time. A run that is resumed begins behind the epoch of its newest checkpoint. The hashes of the model's
    final variables are the result that a reproduction has to give again. It works with any loss, inputs,
    backend and `train_step`.

    A run records one `fit`. Errors: InputError for a second callback of a run, a second `fit` with one, or
    one outside `fit`; Diverged after an epoch whose loss is not finite.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        if not isinstance(run, Run):
            raise InputError(
                f"runback.keras.Callback takes the run, as in runback.keras.Callback(run); got a "
                f"{type(run).__name__}"
            )
        run.claim("a runback.keras.Callback: a run records one fit")
        self._run = run
        self._has_begun = False

    def set_params(self, params: dict[str, Any] | None) -> None:
        """Have the files that other callbacks write go on too, where the run does."""
        super().set_params(params)
        callbacks = keras_internals.running_callbacks()
        if self._run.epoch and callbacks is not None:
            for other in callbacks.callbacks:
                if isinstance(other, keras.callbacks.CSVLogger):
                    other.append = True

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put what records the run behind all other callbacks, whose hooks have then done their part."""
        if self._has_begun:
            raise InputError("a runback.keras.Callback is used in a second fit: a run records one")
        self._has_begun = True
        callbacks = keras_internals.running_callbacks()
        if callbacks is None:
            raise InputError("give runback.keras.Callback(run) to fit, or to a keras.callbacks.CallbackList")
        recorder = _Recorder(self._run, [one for one in callbacks.callbacks if one is not self])
        recorder.set_model(self.model)
        recorder.set_params(self.params)
        callbacks.callbacks.append(recorder)  # its own on_train_begin is called behind this one


class _Recorder(keras.callbacks.Callback):
    """Records a run, the last of the callbacks: what it keeps of an epoch is all that the epoch has done."""

    def __init__(self, run: Run, others: list[keras.callbacks.Callback]) -> None:
        super().__init__()
        self._run, self._others = run, others
        self._has_result = False
        self._validations = 0
        self._began: Mapping[str, Any] = {}
        self._started = self._written = self._cost = 0.0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Begin the run, or go on where its checkpoint was made."""
        if keras.backend.backend() == "tensorflow":
            self._run.record(tensorflow=tensorflow_build())
        self._run.begin(epochs=self.params.get("epochs"))
        self._run.at_end(self._result)
        _build(self.model)
        data = keras_internals.data_adapter()
        self._run.trace("begin", {"variables": _hash(self.model.variables), "data": data})
        state = self._run.state
        self._began = state["began"] if state else generator_states()
        if state:
            self._go_on(state)
        self._written = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Note when the epoch began."""
        keras_internals.begin_at(self.model, None)
        self._started = time.perf_counter()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Take the data of a validation where that of the ones before the checkpoint ends."""
        data, self._validations, before = keras_internals.running_data(), 0, self._validations
        if before and data is not None and not keras_internals.is_seeded(data):
            keras_internals.pass_over(data, before, anew=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Log the epoch's metrics; end a training that has diverged, or whose trial is pruned."""
        measured = dict(_numbers(logs or {}))
        measured = {**_learning_rate(self.model), **measured}
        measured["epoch_seconds"] = time.perf_counter() - self._started
        self._run.log(measured, step=epoch + 1)
        for name in ("loss", "val_loss"):
            if not math.isfinite(measured.get(name, 0.0)):
                raise Diverged(f"{name} is {measured[name]} after epoch {epoch + 1}")
        if epoch + 1 == self._run.last_epoch:
            self._result()  # the run that it repeats was ended here: no callback has changed its end
            self._has_result = True
            self.model.stop_training = True
        self._checkpoint(is_last=epoch + 1 == self.params.get("epochs") or self.model.stop_training)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Let later trainings of the model begin as they say."""
        keras_internals.begin_at(self.model, None)

    def _go_on(self, state: Mapping[str, Any]) -> None:
        """Put everything where it was when the checkpoint was made. Errors: InputError."""
        self._refuse_other_callbacks(state["callbacks"])
        data, epoch = keras_internals.running_data(), self._run.epoch
        if len(variables(self.model)) != len(state["variables"]) and data is not None:
            keras_internals.make_variables(self.model, data)
        if data is not None and not keras_internals.is_seeded(data):
            restore_generators(self._began)
            self._run.say(f"passing over the data of {epoch} epochs, to go on behind them")
            keras_internals.pass_over(data, epoch)
            self._validations = sum(any(map(_is_validation, row)) for row in self._run.history)
        _restore(variables(self.model), state["variables"])
        for other, (_, kept) in zip(self._others, state["callbacks"], strict=True):
            vars(other).update(_fitting(kept, other))
        # Where Python makes the batches, it has drawn by now what it had drawn then.
        if data is None or not keras_internals.runs_python(data):
            self._run.restore_generators()
        ended = state["stop_training"]
        keras_internals.begin_at(self.model, self.params.get("epochs", epoch) if ended else epoch)

    def _refuse_other_callbacks(self, saved: list[list[Any]]) -> None:
        then, now = [name for name, _ in saved], [type(one).__name__ for one in self._others]
        if then != now:
            raise InputError(
                f"the checkpoint was made with the callbacks {', '.join(then)}; here are {', '.join(now)}"
            )

    def _checkpoint(self, *, is_last: bool) -> None:
        before = time.perf_counter()
        is_needed = is_last or self._run.is_pausing
        if self._cost > SHARE * (before - self._written) and not is_needed:
            return
        state = {
            "variables": [[_path(one), _value(one)] for one in variables(self.model)],
            "callbacks": [[type(one).__name__, _state(one)] for one in self._others],
            "stop_training": bool(self.model.stop_training),
            "began": self._began,
        }
        self._run.checkpoint(state, is_last=is_last)
        self._written = time.perf_counter()
        self._cost = self._written - before

    def _result(self) -> None:
        if not self._has_result:
            named = enumerate(_of_model(self.model))
            self._run.result(weights={f"{index:03d} {_path(one)}": _value(one) for index, one in named})


def variables(model: keras.Model) -> list[Any]:
    """Return all variables that change in training: the model's, its optimizers', its random generators'."""
    found = _of_model(model)
    for optimizer in _optimizers(vars(model)):
        found += optimizer.variables
    return _once([*found, *keras_internals.global_seeds()])


def _of_model(model: keras.Model) -> list[Any]:
    """Return a model's variables, with those that TensorFlow has made and Keras does not know."""
    layers = [model, *keras_internals.all_layers(model)]
    raw = [one for layer in layers for one in vars(layer).values() if hasattr(one, "read_value")]
    return _once([*model.variables, *raw])


def _optimizers(value: Any) -> Iterator[keras.optimizers.Optimizer]:
    """Yield the optimizers among a model's attributes, and in lists and dicts there."""
    if isinstance(value, keras.optimizers.Optimizer):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _optimizers(one)


def _once(found: list[Any]) -> list[Any]:
    return list({id(one): one for one in found}.values())


def _build(model: keras.Model) -> None:
    """Make variables before the first step, as they are where a run goes on: an optimizer's, the seeds'."""
    keras_internals.global_seeds()
    optimizer = model.optimizer
    is_built = not isinstance(optimizer, keras.optimizers.Optimizer) or optimizer.built
    if model.built and not (is_built or keras_internals.has_own_step(model)):  # that may have others
        optimizer.build(model.trainable_variables)


def _restore(here: list[Any], saved: list[list[Any]]) -> None:
    """Give variables the values of a checkpoint. Errors: InputError where it was made of other ones."""
    shapes = [(tuple(one.shape), tuple(value.shape)) for one, (_, value) in zip(here, saved, strict=False)]
    if len(here) != len(saved) or any(ours != theirs for ours, theirs in shapes):
        raise InputError(
            f"the checkpoint was made by another model: it has {len(saved)} variables, or others of another "
            f"shape; this one has {len(here)}"
        )
    for variable, (_, value) in zip(here, saved, strict=True):
        variable.assign(value)


def _path(variable: Any) -> str:
    """Return a variable's path without the numbers that count what the process has built before."""
    return re.sub(r"_\d+(?=/|_|:|$)", "", str(getattr(variable, "path", variable.name)))


def _hash(these: list[Any]) -> str:
    """Return one hash of all these variables."""
    named = {f"{index:03d}": _value(one) for index, one in enumerate(these)}
    return text_hash(json.dumps(tensor_hashes(named)))


def _value(variable: Any) -> np.ndarray:
    value = variable.value if isinstance(variable, keras.Variable) else variable
    return np.asarray(keras.ops.convert_to_numpy(value))


def _learning_rate(model: keras.Model) -> dict[str, float]:
    """Return the learning rate of the optimizer that the model was compiled with, if that has done a step."""
    optimizer = getattr(model, "optimizer", None)
    rate = getattr(optimizer, "learning_rate", None)
    if rate is None or not int(keras.ops.convert_to_numpy(optimizer.iterations)):  # type: ignore[union-attr]
        return {}
    return {"learning_rate": float(keras.ops.convert_to_numpy(rate))}


def _numbers(logs: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield an epoch's metrics; one of several numbers, as an F1 score of each class, as several metrics."""
    for name, value in logs.items():
        array = np.asarray(value if isinstance(value, int | float) else keras.ops.convert_to_numpy(value))
        if array.ndim == 0:
            yield name, float(array)
        else:
            yield from ((f"{name}.{index}", float(one)) for index, one in enumerate(array.reshape(-1)))


def _is_validation(name: str) -> bool:
    return name.startswith("val_")


def _state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return the attributes of a callback that are its state: numbers, texts, arrays and lists of them.

    Of a mapping only one of numbers, as a history is.
    """
    if isinstance(callback, keras.callbacks.CSVLogger):
        return {}
    return {
        name: value for name, value in vars(callback).items() if name not in SETTINGS and _is_simple(value)
    }


def _fitting(kept: Mapping[str, Any], callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return a callback's state without what is something else in this process, as an open file."""
    now = vars(callback)
    return {name: value for name, value in kept.items() if name not in now or _is_simple(now[name])}


def _is_simple(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str | int) and _is_number(one) for key, one in value.items())
    return isinstance(value, str) or _is_number(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(one, str) or _is_number(one) for one in value)
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    return value is None or isinstance(value, bool | int | float | np.generic)
