"""Trains models of every kind in runs that are stopped in the middle of an epoch, and go on.

Given a folder and the names of cases, prints a line of JSON for each: the result of a run that was left
alone, and that of one that was stopped in its third epoch and resumed.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from omegaconf import OmegaConf

import runback
from runback.errors import Stopped
from runback.keras import callback
from runback.runs.checkpoint import load_newest
from runback.runs.continuation import reopen
from runback.runs.epoch_results import is_result
from runback.runs.live.run import RunContext, train
from runback.runs.tasks.task_spec import task_spec
from runback.tracking.layout import Layout
from runback.tracking.store import open_store
from runback.tracking.write.outbox import Outbox

EPOCHS = 5

CASES: dict[str, Callable[..., Any]] = {}

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype("float32")
Y = (X[:, :1] - X[:, 1:2] > 0).astype("float32")


class Stop(keras.callbacks.Callback):
    """Stops a training in the middle of an epoch, counted from 0, or at its end."""

    def __init__(self, epoch: int | None) -> None:
        super().__init__()
        self.stops = {epoch} - {None}  # no checkpoint keeps a set
        self.is_late = False
        self.is_now = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.is_now = epoch in self.stops and not self.is_late

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.is_now and batch >= 2:
            raise Stopped("stopped by a test")


def case(function: Callable[..., Any]) -> Callable[..., Any]:
    CASES[function.__name__] = function
    return function


def network(*layers: Any, units: int = 1, activation: str | None = "sigmoid") -> keras.Model:
    head = keras.layers.Dense(units, activation)
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), *layers, head])


@case
def several_inputs_and_outputs(callbacks: list[Any]) -> None:
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two")
    x = keras.layers.Dropout(0.3)(keras.layers.Concatenate()([one, two]))
    outputs = {"sign": keras.layers.Dense(1, "sigmoid")(x), "sum": keras.layers.Dense(1)(x)}
    model = keras.Model({"one": one, "two": two}, outputs)
    losses = {"sign": "binary_crossentropy", "sum": lambda y, p: keras.ops.mean(keras.ops.abs(y - p) ** 1.5)}
    model.compile("adam", losses, loss_weights={"sign": 1.0, "sum": 0.1}, metrics={"sign": ["accuracy"]})
    inputs, targets = {"one": X[:, :3], "two": X[:, 3:]}, {"sign": Y, "sum": X.sum(1, keepdims=True)}
    weights = {"sign": np.linspace(0, 1, 96), "sum": np.ones(96)}
    model.fit(
        inputs, targets, sample_weight=weights, batch_size=8, epochs=EPOCHS, callbacks=callbacks, verbose=0
    )


@case
def split_weights_and_rare_validation(callbacks: list[Any]) -> None:
    model = network(keras.layers.BatchNormalization(), keras.layers.GaussianNoise(0.1))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "binary_crossentropy", metrics=["accuracy"])
    model.fit(
        X, Y, batch_size=8, epochs=EPOCHS, validation_split=0.25, validation_freq=2,
        class_weight={0: 1.0, 1: 2.0}, callbacks=callbacks, verbose=0,
    )  # fmt: skip


@case
def schedule_and_steps_per_execution(callbacks: list[Any]) -> None:
    rate = keras.optimizers.schedules.CosineDecay(0.01, 60)
    model = network(keras.layers.Dropout(0.2))
    steps = 2 if keras.backend.backend() == "tensorflow" else 1
    model.compile(keras.optimizers.AdamW(rate), "binary_crossentropy", steps_per_execution=steps)
    model.fit(X, Y, batch_size=8, epochs=EPOCHS, initial_epoch=1, callbacks=callbacks, verbose=0)


@case
def mixed_precision(callbacks: list[Any]) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = network()
        adam = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=64.0)
        model.compile(adam, "binary_crossentropy")
        model.fit(X, Y, batch_size=8, epochs=EPOCHS, callbacks=callbacks, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")


class Unbuilt(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.parts = [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)]
        self.head = keras.layers.Dense(1)

    def call(self, x: Any, training: bool = False) -> Any:
        for part in self.parts:
            x = part(x, training=training) if isinstance(part, keras.layers.Dropout) else part(x)
        return self.head(x)


@case
def subclassed_and_unbuilt(callbacks: list[Any]) -> None:
    model = Unbuilt()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=8, epochs=EPOCHS, callbacks=callbacks, verbose=0)


@case
def eager(callbacks: list[Any]) -> None:
    model = Unbuilt()
    model.compile("rmsprop", "mse", run_eagerly=True)
    model.fit(X, Y, batch_size=16, epochs=EPOCHS, callbacks=callbacks, verbose=0)


@case
def other_callbacks(callbacks: list[Any]) -> None:
    model = network(keras.layers.Dropout(0.5))
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    folder = Path.cwd()
    others = [
        keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=1.0),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.97),
        keras.callbacks.ModelCheckpoint(str(folder / "best.keras"), save_best_only=True),
        keras.callbacks.CSVLogger(str(folder / "log.csv")),
    ]
    history = model.fit(
        X, Y, batch_size=8, epochs=EPOCHS, validation_split=0.25, callbacks=[*callbacks, *others], verbose=0
    )
    assert len(history.history["val_loss"]) == EPOCHS


@case
def averaged_weights(callbacks: list[Any]) -> None:
    model = network()
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), "binary_crossentropy")
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(
        X, Y, batch_size=8, epochs=EPOCHS, validation_split=0.25, callbacks=[*callbacks, swap], verbose=0
    )


@case
def metric_of_several_numbers(callbacks: list[Any]) -> None:
    model = network(units=3, activation="softmax")
    labels = np.eye(3, dtype="float32")[np.argmax(X[:, :3], axis=1)]
    model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score(average=None)])
    model.fit(X, labels, batch_size=8, epochs=EPOCHS, callbacks=callbacks, verbose=0)


class Batches(keras.utils.PyDataset):
    def __init__(self) -> None:
        super().__init__()
        self.order, self.rng = np.arange(96), np.random.default_rng(3)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        rows = self.order[index * 16 : index * 16 + 16]
        return X[rows] + np.random.normal(0, 0.01, (16, 6)).astype("float32"), Y[rows]

    def on_epoch_end(self) -> None:
        self.rng.shuffle(self.order)


@case
def py_dataset(callbacks: list[Any]) -> None:
    model = network()
    model.compile("adam", "binary_crossentropy")
    model.fit(Batches(), epochs=EPOCHS, callbacks=callbacks, validation_data=(X, Y), verbose=0)


def batches(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    while True:
        rows = rng.integers(0, 96, 16)
        yield X[rows], Y[rows]


@case
def generators(callbacks: list[Any]) -> None:
    model = network()
    model.compile("adam", "binary_crossentropy")
    model.fit(
        batches(1), steps_per_epoch=5, epochs=EPOCHS, callbacks=callbacks,
        validation_data=batches(2), validation_steps=3, verbose=0,
    )  # fmt: skip


@case
def tf_data(callbacks: list[Any]) -> None:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(96, seed=4).batch(16)
    model = network()
    model.compile("adam", "binary_crossentropy")
    other = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(96).batch(16).take(2)
    model.fit(data, epochs=EPOCHS, callbacks=callbacks, validation_data=other, verbose=0)


@case
def repeated_tf_data(callbacks: list[Any]) -> None:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(96).repeat().batch(16)
    model = network()
    model.compile("adam", "binary_crossentropy")
    model.fit(data, steps_per_epoch=4, epochs=EPOCHS, callbacks=callbacks, verbose=0)


class OwnStep(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = keras.layers.Dense(8, "relu"), keras.layers.Dense(1)
        self.mean = keras.metrics.Mean(name="loss")

    def call(self, x: Any) -> Any:
        return self.two(self.one(x))

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = keras.ops.mean((self(x + keras.random.normal(keras.ops.shape(x))) - y) ** 2)
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        self.mean.update_state(loss)
        return {"loss": self.mean.result()}


@case
def own_step(callbacks: list[Any]) -> None:
    model = OwnStep()
    model.compile("adam")
    model.fit(X, Y, batch_size=8, epochs=EPOCHS, callbacks=callbacks, verbose=0)


class Gan(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = network(units=6, activation=None), network(activation=None)
        self.seeds = keras.random.SeedGenerator(7)
        self.optimizers = {"d": keras.optimizers.Adam(1e-3), "g": keras.optimizers.SGD(1e-3, momentum=0.9)}
        self.g_loss = keras.metrics.Mean(name="g_loss")
        import tensorflow as tf

        self.n_steps = tf.Variable(0, trainable=False)

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        noise = keras.random.normal((keras.ops.shape(data)[0], 6), seed=self.seeds)
        with tf.GradientTape() as tape:
            real, fake = self.discriminator(data), self.discriminator(self.generator(noise))
            loss = keras.ops.mean(keras.ops.softplus(fake) + keras.ops.softplus(-real))
        weights = self.discriminator.trainable_variables
        self.optimizers["d"].apply(tape.gradient(loss, weights), weights)
        with tf.GradientTape() as tape:
            loss = keras.ops.mean(keras.ops.softplus(-self.discriminator(self.generator(noise))))
        weights = self.generator.trainable_variables
        self.optimizers["g"].apply(tape.gradient(loss, weights), weights)
        self.n_steps.assign_add(1)
        self.g_loss.update_state(loss * (1 + tf.cast(self.n_steps, tf.float32)))
        return {"g_loss": self.g_loss.result()}


@case
def gan_with_two_optimizers(callbacks: list[Any]) -> None:
    model = Gan()
    model.compile()
    model.fit(X, batch_size=8, epochs=EPOCHS, callbacks=callbacks, verbose=0)


@case
def ended_early(callbacks: list[Any]) -> None:
    """Stops itself after its third epoch; the test stops it after `fit`."""
    callbacks[0].is_late = True
    model = network()
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy")
    stop = keras.callbacks.EarlyStopping("loss", patience=2, min_delta=10, restore_best_weights=True)
    found = model.fit(X, Y, batch_size=8, epochs=EPOCHS, callbacks=[*callbacks, stop], verbose=0)
    assert len(found.history["loss"]) == 3
    if callbacks[0].stops:
        raise Stopped("stopped by a test")


def trained(name: str, layout: Layout, folder: Path, epoch: int | None) -> dict[str, Any]:
    """Train a case in a folder from where it was stopped there, to be stopped in an epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    config = OmegaConf.create({"run": {"seed": 3, "threads": 1, "experiment": "fits"}})
    spec = task_spec(config, share=1, name=name, choices={}, overrides=[], folder=folder, layout=layout)
    checkpoint, begun = load_newest(folder), Outbox(folder).run_id
    store = open_store(layout)
    context = RunContext(
        {"script": "fits.py", "name": name},
        reopened=None if begun is None else lambda: reopen(store, begun, folder, checkpoint).run,
        checkpoint=checkpoint,
        stream=sys.stderr,
    )

    def task(run: runback.Run) -> float:
        CASES[name]([Stop(epoch), runback.keras.Callback(run)])
        return 1.0

    result = train(task, spec, context).result
    rows = [row["metrics"] for row in result["epochs"]]
    curves = [{key: value for key, value in row.items() if is_result(key)} for row in rows]
    return {"weights": result["weights"], "curves": curves}


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(CASES)
    callback.SHARE = float("inf")  # a checkpoint after every epoch
    layout = Layout(folder)
    for name in names:
        line: dict[str, Any] = {"case": name}
        try:
            line["whole"] = trained(name, layout, layout.runs / f"{name}-whole", None)
            try:
                trained(name, layout, layout.runs / f"{name}-resumed", 2)
            except Stopped:
                line["stopped"] = len(load_newest(layout.runs / f"{name}-resumed").history)
            line["resumed"] = trained(name, layout, layout.runs / f"{name}-resumed", None)
        except Exception as error:
            line["error"] = f"{type(error).__name__}: {error}"[:2000]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
