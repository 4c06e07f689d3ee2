"""Learning rate schedules: functions of the peak rate and the length of the training."""

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from runback.errors import InputError

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Warmup = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


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


def one_cycle(
    learning_rate: Rate, epochs: Count, steps_per_epoch: Count, *, rise: Share = 0.2
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a straight rise to `learning_rate` in the share `rise` of the training, then one down to 0.

    The high rates in the middle keep weights from settling early (Smith and Topin, "Super-Convergence",
    2018); unlike there, the momentum stays as it is.
    """
    steps = epochs * steps_per_epoch
    return OneCycle(learning_rate, max(1, round(rise * steps)), steps)


@keras.saving.register_keras_serializable(package="runback")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises in `rise_steps` equal steps, the last of them at `peak`, then falls in equal ones.

    It would be 0 before the first and after the last of `steps` steps: no step is wasted on it.
    """

    def __init__(self, peak: float, rise_steps: int, steps: int) -> None:
        super().__init__()
        self.peak, self.rise_steps, self.steps = peak, rise_steps, steps

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rising = (step + 1) / self.rise_steps
        falling = (self.steps - step) / (self.steps - self.rise_steps + 1)
        return self.peak * ops.maximum(0.0, ops.minimum(rising, falling))

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {"peak": self.peak, "rise_steps": self.rise_steps, "steps": self.steps}


def _warmup_steps(warmup_epochs: float, epochs: int, steps_per_epoch: int) -> int:
    if warmup_epochs >= epochs:
        raise InputError(
            f"schedule.warmup_epochs must be less than the {epochs} epochs to train; got {warmup_epochs:g}"
        )
    return min(round(warmup_epochs * steps_per_epoch), epochs * steps_per_epoch - 1)
