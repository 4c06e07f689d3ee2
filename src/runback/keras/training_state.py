"""The state of a training besides its data: reads the values of all variables, and puts them back."""

import re
from collections.abc import Sequence
from typing import Any

import keras

from runback.errors import InputError
from runback.keras.keras_internals import build_metrics, copies
from runback.runs.checkpoint import Checkpoint as Checkpoint
from runback.runs.checkpoint import Variable


def build_optimizer(model: keras.Model) -> None:
    """Make the optimizer's variables now, not in the first step: then every training makes the same graph."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def values(variables: Sequence[Any]) -> list[Variable]:
    """Return copies of Keras variables' values, with their paths."""
    return [Variable(variable.path, variable.numpy()) for variable in variables]


def model_state(model: keras.Model) -> dict[str, list[Variable]]:
    """Return the values of all that changes in training: weights, statistics, random states, optimizer."""
    return {"model": values(model.variables), "optimizer": values(model.optimizer.variables)}


def metric_values(model: keras.Model) -> list[Variable]:
    """Return copies of what the metrics have gathered so far; of a mirrored model, on each device."""
    return [Variable(path, copy.numpy()) for path, copy in _metric_copies(model)]


def _metric_copies(model: keras.Model) -> list[tuple[str, Any]]:
    return [(one.path, copy) for one in model.metrics_variables for copy in copies(one)]


def restore(checkpoint: Checkpoint, model: keras.Model) -> None:
    """Give a compiled `model` and its optimizer the values that `checkpoint` holds.

    Its metrics' follow with `restore_metrics`. Raises InputError, with `model` unchanged, when the
    checkpoint was made from another model or optimizer.
    """
    build_optimizer(model)
    groups = {"model": model.variables, "optimizer": model.optimizer.variables}
    if "metrics" in checkpoint.variables:
        build_metrics(model)
        groups["metrics"] = [one for one in model.metrics_variables for _ in copies(one)]
    if checkpoint.variables.get("best"):
        groups["best"] = model.weights
    for group, variables in groups.items():
        _check(checkpoint, group, variables)
    _assign(checkpoint, "model", groups["model"])
    _assign(checkpoint, "optimizer", groups["optimizer"])


def restore_metrics(checkpoint: Checkpoint, model: keras.Model) -> None:
    """Give the metrics of a model that was restored what they had gathered: Keras resets them each epoch."""
    for (_, copy), saved in zip(_metric_copies(model), checkpoint.variables["metrics"], strict=True):
        copy.assign(saved.value)


def _assign(checkpoint: Checkpoint, group: str, variables: Sequence[Any]) -> None:
    for variable, saved in zip(variables, checkpoint.variables[group], strict=True):
        variable.assign(saved.value)


def _check(checkpoint: Checkpoint, group: str, variables: Sequence[Any]) -> None:
    saved = [_facts(path, value.shape, value.dtype.name) for path, value in checkpoint.variables[group]]
    here = [_facts(variable.path, variable.shape, variable.dtype) for variable in variables]
    for index in range(max(len(saved), len(here))):
        there, expected = saved[index : index + 1], here[index : index + 1]
        if there != expected:
            name = "the checkpoint" if checkpoint.path is None else checkpoint.path.name
            raise InputError(
                f"{name} was made by another training: variable {index} of its {group} is "
                f"{_text(there)}, here it is {_text(expected)}"
            )


def _facts(path: str, shape: Sequence[int], dtype: str) -> tuple[str, tuple[int, ...], str]:
    """Leave out the numbers that Keras appends to names: they count what the process has built so far."""
    return re.sub(r"_\d+(?=/|_|$)", "", path), tuple(shape), dtype


def _text(facts: list[tuple[str, tuple[int, ...], str]]) -> str:
    return " ".join(map(str, facts[0])) if facts else "missing"
