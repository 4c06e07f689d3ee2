"""Has a training measured and kept by the averages of its weights, where its optimizer has such averages."""

import keras
import numpy as np


class AveragedWeights(keras.callbacks.Callback):
    """Gives a model its averaged weights for each validation, until the next epoch or checkpoint.

    Does nothing unless the optimizer has `use_ema`. Keras then trains on with the weights themselves, and
    puts the averages in their place only when the training is over: without this, what is measured would not
    be what is kept. (keras.callbacks.SwapEMAWeights adds and subtracts to swap, which rounds.) Comes before
    whatever looks at the weights when an epoch begins.
    """

    def __init__(self) -> None:
        super().__init__()
        self._weights: list[np.ndarray] = []

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put the averages in place of the weights."""
        optimizer = self.model.optimizer
        if getattr(optimizer, "inner_optimizer", optimizer).use_ema and not self._weights:
            self._weights = [variable.numpy() for variable in self.model.trainable_variables]
            optimizer.finalize_variable_values(self.model.trainable_variables)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Put the weights back, to train on."""
        self.put_back()

    def put_back(self) -> None:
        """Put back the weights that averages stand for, if any do."""
        if self._weights:
            for variable, weight in zip(self.model.trainable_variables, self._weights, strict=True):
                variable.assign(weight)
            self._weights = []
