import keras
import numpy as np
import pytest

from runback.classifier.training.fit import compile_model
from runback.errors import InputError
from runback.keras.training_state import build_optimizer, model_state, restore
from runback.runs.checkpoint import Checkpoint


def model(width: int = 4, optimizer: str = "adam", activation: str | None = None) -> keras.Model:
    layers = [
        keras.Input((3,)),
        keras.layers.Dense(width, activation=activation),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(2, activation="softmax"),
    ]
    compiled = compile_model(keras.Sequential(layers), None, keras.optimizers.get(optimizer))
    build_optimizer(compiled)
    return compiled


def checkpoint(of: keras.Model) -> Checkpoint:
    return Checkpoint(1, 0, [{}], model_state(of))


def test_every_variable_gets_its_value_back_whatever_number_keras_gave_the_layers() -> None:
    first, second = model(), model()
    first.optimizer.iterations.assign(7)
    saved = checkpoint(first)
    assert [variable.path for variable in first.variables] != [variable.path for variable in second.variables]
    restore(saved, second)
    for here, there in zip(
        [*first.variables, *first.optimizer.variables],
        [*second.variables, *second.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(here.numpy(), there.numpy())


def test_what_was_captured_does_not_change_with_the_model() -> None:
    here = model()
    saved = checkpoint(here)
    before = saved.variables["model"][0].value.copy()
    here.variables[0].assign_add(np.ones(here.variables[0].shape))
    np.testing.assert_array_equal(saved.variables["model"][0].value, before)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"width": 5},
            r"variable 0 of its model is sequential/dense/kernel \(3, 4\) float32, "
            r"here it is sequential/dense/kernel \(3, 5\) float32",
        ),
        (
            {"optimizer": "rmsprop"},
            r"variable 0 of its optimizer is adam/iteration .*, here it is rm_sprop/it",
        ),
    ],
)
def test_another_model_or_optimizer_is_refused_untouched(other: dict[str, object], message: str) -> None:
    here = model(**other)  # type: ignore[arg-type]
    before = [variable.numpy() for variable in here.variables]
    with pytest.raises(InputError, match=message):
        restore(checkpoint(model()), here)
    for variable, value in zip(here.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_variable_too_few_is_named() -> None:
    saved = checkpoint(model())
    del saved.variables["model"][-1]
    with pytest.raises(InputError, match=r"variable 4 of its model is missing, here it is \S+bias \(2,\)"):
        restore(saved, model())


def test_bfloat16_variables_come_back() -> None:
    keras.config.set_dtype_policy("bfloat16")
    try:
        first, second = model(), model()
    finally:
        keras.config.set_dtype_policy("float32")
    restore(checkpoint(first), second)
    assert second.variables[0].dtype == "bfloat16"
    np.testing.assert_array_equal(first.variables[0].numpy(), second.variables[0].numpy())
