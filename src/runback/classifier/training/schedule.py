"""Learning rate schedules: functions of the peak rate and the length of the training."""

from typing import Annotated

import keras
from pydantic import Field

from runback.errors import InputError

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Warmup = Annotated[float, Field(ge=0)]


def constant(
    learning_rate: Rate, epochs: Count, steps_per_epoch: Count, *, warmup_epochs: Warmup = 0.0
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Return `learning_rate` itself or, with `warmup_epochs`, a linear rise to it that then stays.

    Parts of an epoch are allowed. Raises InputError when the warm-up takes the whole training.
    """
    warmup = _warmup_steps(warmup_epochs, epochs, steps_per_epoch)
    if warmup == 0:
        return learning_rate
    return keras.optimizers.schedules.PolynomialDecay(
        learning_rate / warmup, decay_steps=warmup, end_learning_rate=learning_rate, power=1.0
    )


def cosine(
    learning_rate: Rate, epochs: Count, steps_per_epoch: Count, *, warmup_epochs: Warmup = 0.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return half a cosine from `learning_rate` to 0 over the training, after a linear rise to it.

    `warmup_epochs` is the length of the rise; parts of an epoch are allowed. From Loshchilov and Hutter,
    "SGDR" (2017), without restarts. Raises InputError when the warm-up takes the whole training.
    """
    warmup = _warmup_steps(warmup_epochs, epochs, steps_per_epoch)
    steps = epochs * steps_per_epoch - warmup
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps=steps)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / warmup,  # a rise from 0 would waste the first step
        decay_steps=steps,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )


def _warmup_steps(warmup_epochs: float, epochs: int, steps_per_epoch: int) -> int:
    if warmup_epochs >= epochs:
        raise InputError(
            f"schedule.warmup_epochs must be less than the {epochs} epochs to train; got {warmup_epochs:g}"
        )
    return min(round(warmup_epochs * steps_per_epoch), epochs * steps_per_epoch - 1)
