"""`runback.keras.Callback`: records a training by `fit`, so that it can go on and come out again."""

import json
import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from runback.errors import Diverged, InputError
from runback.keras.keras_internals import begin_at, callbacks_beside, data_adapter
from runback.provenance.config_hash import text_hash
from runback.provenance.fingerprint import tensor_hashes
from runback.runs.live.run import Run

SHARE = 0.05
"""The share of a training's time that its checkpoints may take."""


class Callback(keras.callbacks.Callback):
    """Records the epochs of any Keras model in a run: its curves, its checkpoints, its result.

        model.fit(x, y, epochs=epochs, callbacks=[runback.keras.Callback(run)])

    Whatever `fit` measures is logged after each epoch, with `learning_rate` and `epoch_seconds`; in a sweep
    the objective among it is reported, and the trial may end there. After an epoch a checkpoint is written of
    all variables: the model's, its optimizers', its random generators', and the state of the other callbacks;
    after fewer epochs where that would take more than a twentieth of the time. A run that is resumed begins
    behind the epoch of its newest checkpoint. The hashes of the model's final variables are the result that a
    reproduction has to give again. It works with any loss, inputs, backend and `train_step`.

    A run records one `fit`. Errors: InputError for a second callback of a run, or a second `fit` with one;
    Diverged after an epoch whose loss is not finite.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        run.claim("a runback.keras.Callback: a run records one fit")
        self._run = run
        self._has_begun = False
        self._state: Mapping[str, Any] = {}
        self._others: list[keras.callbacks.Callback] = []
        self._started = self._written = self._cost = 0.0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Begin the run, or go on where its checkpoint was made."""
        if self._has_begun:
            raise InputError("a runback.keras.Callback is used in a second fit: a run records one")
        self._has_begun = True
        self._run.begin(epochs=self.params.get("epochs"))
        self._others = [one for one in callbacks_beside() if one is not self]
        self._run.at_end(self._result)
        self._run.trace("begin", {"variables": _hash(self.model.variables), "data": data_adapter()})
        self._state = self._run.state
        self._written = time.perf_counter()
        if self._state:
            self._refuse_other_callbacks(self._state["callbacks"])
            _restore(variables(self.model), self._state["variables"])
            begin_at(self.model, self._run.epoch)
            self._run.restore_generators()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the checkpoint of the epoch before, or put the other callbacks where that one's were."""
        if self._state:
            for other, (_, state) in zip(self._others, self._state["callbacks"], strict=True):
                vars(other).update(state)
            self.model.stop_training = self._state["stop_training"]
            self._state = {}
        elif epoch and epoch == self._run.epoch:
            self._checkpoint()
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Log the epoch's metrics; end a training that has diverged, or whose trial is pruned."""
        measured = {name: float(value) for name, value in (logs or {}).items()}
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if rate is not None:
            measured["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        measured["epoch_seconds"] = time.perf_counter() - self._started
        self._run.log(measured, step=epoch + 1)
        for name in ("loss", "val_loss"):
            if not math.isfinite(measured.get(name, 0.0)):
                raise Diverged(f"{name} is {measured[name]} after epoch {epoch + 1}")
        if epoch + 1 == self._run.last_epoch:
            self.model.stop_training = True

    def _refuse_other_callbacks(self, saved: list[list[Any]]) -> None:
        then, now = [name for name, _ in saved], [type(one).__name__ for one in self._others]
        if then != now:
            raise InputError(
                f"the checkpoint was made with the callbacks {', '.join(then)}; here are {', '.join(now)}"
            )

    def _checkpoint(self) -> None:
        before = time.perf_counter()
        if self._cost > SHARE * (before - self._written):
            return
        state = {
            "variables": [[one.path, _value(one)] for one in variables(self.model)],
            "callbacks": [[type(one).__name__, _simple(vars(one))] for one in self._others],
            "stop_training": bool(self.model.stop_training),
        }
        self._run.checkpoint(state)
        self._written = time.perf_counter()
        self._cost = self._written - before

    def _result(self) -> None:
        named = enumerate(self.model.variables)
        self._run.result(weights={f"{index:03d} {one.path}": _value(one) for index, one in named})


def variables(model: keras.Model) -> list[Any]:
    """Return all variables that change in training: the model's, and those of each of its optimizers."""
    optimizers = [one for one in vars(model).values() if isinstance(one, keras.optimizers.Optimizer)]
    found = list(model.variables)
    for optimizer in {id(one): one for one in [model.optimizer, *optimizers] if one is not None}.values():
        if not optimizer.built and optimizer is model.optimizer:
            optimizer.build(model.trainable_variables)
        found += optimizer.variables
    return list({id(one): one for one in found}.values())


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


def _hash(these: list[Any]) -> str:
    """Return one hash of all these variables."""
    named = {f"{index:03d}": _value(one) for index, one in enumerate(these)}
    return text_hash(json.dumps(tensor_hashes(named)))


def _value(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable.value))


def _simple(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a callback that are its state: numbers, texts, arrays and lists of them."""
    return {name: value for name, value in attributes.items() if name != "params" and _is_simple(value)}


def _is_simple(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_simple(one) for one in value)
    return value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic)
