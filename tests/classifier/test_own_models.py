"""Models of the user's own, through the command line: what cannot be stored is refused before epoch 1."""

import keras
import numpy as np
import pytest

NETS = """
import keras
from keras import layers


def _net(shape, classes, *middle):
    middle = [layers.Rescaling(1 / 255), *middle, layers.Flatten()]
    return keras.Sequential([keras.Input(shape), *middle, layers.Dense(classes, activation="softmax")])


class Plain(layers.Layer):
    def call(self, x):
        return x * 2


@keras.saving.register_keras_serializable(package="nets")
class Whole(keras.Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.flat, self.dense = layers.Flatten(), layers.Dense(classes, activation="softmax")

    def call(self, x):
        return self.dense(self.flat(x / 255))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


class Bare(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(classes, activation="softmax")

    def call(self, x):
        return self.dense(self.flat(x / 255))


@keras.saving.register_keras_serializable(package="nets")
class Stepping(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def with_lambda(input_shape, num_classes):
    return _net(input_shape, num_classes, layers.Lambda(lambda x: x, name="mine"))


def unregistered(input_shape, num_classes):
    return _net(input_shape, num_classes, Plain(name="mine"))


def inside(input_shape, num_classes):
    @keras.saving.register_keras_serializable(package="nets")
    class Inner(layers.Layer):
        def call(self, x):
            return x

    return _net(input_shape, num_classes, Inner(name="mine"))


def bare(input_shape, num_classes):
    return Bare(num_classes)


def whole(input_shape, num_classes):
    return Whole(num_classes)


def any_size(input_shape, num_classes):
    image = keras.Input((None, None, input_shape[-1]))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image / 255.0))
    return keras.Model(image, layers.Dense(num_classes, activation="softmax")(x))


def adapted(input_shape, num_classes, images):
    scale = layers.Normalization(axis=None)
    scale.adapt(images.astype("float32"))
    network = _net(input_shape, num_classes)
    return keras.Sequential([keras.Input(input_shape), scale, *network.layers[1:]])


def compiled(input_shape, num_classes):
    network = _net(input_shape, num_classes)
    network.compile(loss=lambda y, p: keras.ops.mean(p))
    return network


def fewer(input_shape, num_classes):
    return _net(input_shape, 3)


def two(input_shape, num_classes):
    image = keras.Input(input_shape)
    return keras.Model(image, [layers.Flatten()(image), layers.Flatten()(image)])


def named(input_shape, num_classes):
    image = keras.Input(input_shape)
    return keras.Model(image, {"a": layers.Dense(num_classes)(layers.Flatten()(image))})


def frozen(input_shape, num_classes):
    network = _net(input_shape, num_classes)
    network.trainable = False
    return network


def smaller(input_shape, num_classes):
    return _net((5, 5, 1), num_classes)


def stepping(input_shape, num_classes):
    image = keras.Input(input_shape)
    return Stepping(image, layers.Dense(num_classes, activation="softmax")(layers.Flatten()(image)))


def ends_with_words(input_shape, num_classes):
    raise SystemExit("no GPU")


def ends_with_a_code(input_shape, num_classes):
    raise SystemExit(3)


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 1e-3


def rate(learning_rate, epochs, steps_per_epoch):
    return Rate()
"""

REGISTER = '@keras.saving.register_keras_serializable(package="nets")'

SMALL = ("training.epochs=1", "data.limit=100")

BAD = {
    "with_lambda": f"layer 'mine' is a Lambda, which is not loaded again: write a class of layers, with "
    f"{REGISTER}",
    "unregistered": f"layer 'mine' is a nets.Plain, which is not registered: write {REGISTER} above",
    "inside": "layer 'mine' is a nets.Inner, which is registered only while the network is made",
    "bare": "the model 'bare' (nets.Bare) cannot be stored: give its class a get_config()",
    "fewer": "must return 10 numbers for an image, the probability of each class; it returns (None, 3)",
    "two": "must return 10 numbers for an image, the probability of each class; it returns a list of tensors",
    "named": "the probability of each class; it returns a dict of tensors",
    "frozen": "none of the network's weights is trainable",
    "smaller": "the network cannot take images of shape (8, 8, 1)",
    "stepping": "Stepping has a train_step() of its own, which would not be used",
}


def after_block(out):
    """Return what was printed besides what it would have trained on."""
    return "".join(line for line in out.splitlines(True) if not line.startswith(("data: ", "  ")))


@pytest.fixture
def own(project):
    (project.folder / "nets.py").write_text(NETS)
    (project.folder / "pyproject.toml").write_text('[tool.runback]\nmodules = ["nets"]\n')
    return project


def with_model(function):
    left_out = ("conv_dropout", "dense_dropout", "widths", "dense_width", "pooling")
    return [f"model._target_=nets.{function}", *(f"~model.{name}" for name in left_out)]


def test_a_network_that_cannot_be_stored_is_refused_before_its_first_epoch(own):
    results = own.run_many(*(["train", *with_model(name), *SMALL] for name in BAD))
    for (code, out, err), reason in zip(results, BAD.values(), strict=True):
        assert (code, after_block(out), err.count("\n")) == (2, "", 1), err
        assert reason in err
    assert not (own.folder / "mlruns" / "mlflow.db").exists()
    assert list((own.folder / "mlruns" / "runs").iterdir()) == []


def test_a_model_whose_code_ends_the_program_keeps_its_message_and_its_code(own):
    words = own.run("train", *with_model("ends_with_words"), *SMALL)
    assert (words.returncode, words.stderr) == (1, "runback: no GPU\n")
    code = own.run("train", *with_model("ends_with_a_code"), *SMALL)
    assert (code.returncode, code.stderr) == (3, "")
    assert {run.info.status for run in own.runs()} <= {"FAILED"}


def test_an_optimizer_that_cannot_be_stored_is_refused(own):
    schedule = ["schedule._target_=nets.rate", "~schedule.warmup_epochs"]
    done = own.run("train", *schedule, *SMALL)
    assert (done.returncode, after_block(done.stdout), done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "optimizer, or its schedule, cannot be stored" in done.stderr


def test_models_of_a_class_of_their_own_and_of_any_size_train_and_are_evaluated(own):
    trained = own.run_many(
        *(["train", *with_model(name), *SMALL] for name in ("whole", "any_size", "compiled"))
    )
    assert [code for code, _, _ in trained] == [0, 0, 0], trained
    assert "comes compiled: its optimizer, loss and metrics are not used" in trained[2][2]
    ids = [out.split()[-1] for _, out, _ in trained]
    # As the installed command, which has the working directory not on Python's path.
    evaluated = [own.run_installed("evaluate", run_id) for run_id in ids]
    assert [one.returncode for one in evaluated] == [0, 0, 0], evaluated
    assert evaluated[0].stderr == ""
    assert own.run("reproduce", ids[0], "--in-place").returncode == 0


def test_a_model_that_asks_for_the_images_to_train_on_gets_them(own):
    trained = own.run("train", *with_model("adapted"), *SMALL)
    assert trained.returncode == 0, trained.stderr
    run_id = trained.stdout.split()[-1]
    network = next((own.folder / "mlruns" / "artifacts").rglob("model.keras"))
    scale = keras.models.load_model(network).layers[0]
    assert 3 < np.asarray(scale.mean).item() < 255
    again = own.run("reproduce", run_id, "--in-place")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "bit-identical"), again.stderr


def test_the_images_of_a_model_are_not_the_configs_to_give(own):
    for name in ("nets.adapted", "runback.classifier.models.whitened_cnn.whitened_cnn"):
        given = [*with_model("adapted"), f"model._target_={name}", "+model.images=1"]
        done = own.run("train", *given, *SMALL)
        assert (done.returncode, after_block(done.stdout), done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert "images" in done.stderr


def test_a_sweep_says_once_that_its_network_cannot_be_stored(own):
    sweep = ["train", "--multirun", "hydra.sweeper.n_trials=3", "seed=1,2"]
    done = own.run(*sweep, *with_model("with_lambda"), *SMALL)
    assert (done.returncode, after_block(done.stdout), done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "layer 'mine' is a Lambda" in done.stderr
    assert not list(own.folder.glob("mlruns/sweeps/*/[0-9]*"))


def test_flags_may_stand_between_overrides(project):
    done = project.run("train", "training.epochs=1", "--cfg", "job", "data.limit=100", "-p", "training")
    assert done.returncode == 0, done.stderr
    assert "epochs: 1" in done.stdout
    missing = project.run("train", "seed=1", "--cfg", "job", "-p", "nope")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1), missing.stderr


def test_a_key_of_ones_own_that_others_refer_to_is_run_back(project):
    trained = project.run("train", "data.limit=100", "++width=1", "training.epochs=${width}")
    assert trained.returncode == 0, trained.stderr
    again = project.run("reproduce", trained.stdout.split()[-1], "--in-place")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "bit-identical"), again.stderr
