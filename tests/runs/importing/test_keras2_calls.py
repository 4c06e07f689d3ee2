# ruff: noqa: E501 - a case is a line
"""Keras 1 and 2, as notebooks wrote them: each piece as Keras 3 has it, or named."""

import ast

import pytest

from runback.runs.importing.task_script import import_notebook

FIT = "model = Sequential()\nmodel.compile(loss='mse')\nmodel.fit(x, y, epochs=1)"


@pytest.fixture
def imported(tmp_path, write_notebook):
    def import_cells(*cells: str):
        write_notebook(tmp_path / "n.ipynb", [*cells])
        return import_notebook(tmp_path / "n.ipynb")

    return import_cells


@pytest.fixture
def code(imported):
    """Return the script of code that runs beside a fit, and the notes about it."""

    def of(*cells: str) -> tuple[str, list[str]]:
        fit = () if any(".fit" in cell for cell in cells) else (FIT,)
        done = imported("from keras.models import Sequential", *cells, *fit)
        return done.script, [*done.notes.lines()]

    return of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from keras.layers.core import Dense\nDense(3)", "from keras.layers import Dense"),
        ("from keras.layers.convolutional import MaxPooling2D as M\nM()", "from keras.layers import MaxPooling2D as M"),
        ("from keras.layers.normalization import BatchNormalization as B\nB()", "from keras.layers import BatchNorm"),
        ("from keras.layers.recurrent import LSTM\nLSTM(3)", "from keras.layers import LSTM"),
        ("from keras.layers.advanced_activations import PReLU\nPReLU()", "from keras.layers import PReLU"),
        ("from keras.layers import CuDNNLSTM\nCuDNNLSTM(3)", "LSTM(3)"),
        ("from keras.engine.topology import Layer\nLayer()", "from keras.layers import Layer"),
        ("from keras.engine import Model, Input\nModel(Input((1,)), 2)", "from keras import Input, Model"),
        ("from keras.utils import np_utils\na = np_utils.to_categorical(y, 3)\nprint(a)", "keras.utils.to_categorical(y, 3)"),
        ("from keras.utils.np_utils import to_categorical\nto_categorical(y, nb_classes=3)", "num_classes=3"),
        ("from keras.utils.vis_utils import plot_model\nb = plot_model", "b = plot_model"),
        ("import keras.layers.core as core\ncore.Dense(3)", "keras.layers.Dense(3)"),
        ("import keras\nkeras.layers.core.Dense(3)", "keras.layers.Dense(3)"),
        ("from keras import optimizers\noptimizers.rmsprop(lr=0.1)", "keras.optimizers.RMSprop(learning_rate="),
        ("import keras\nkeras.optimizers.rmsprop(lr=0.0001, decay=1e-6)", "InverseTimeDecay("),
        ("from keras.optimizers import rmsprop\nrmsprop()", "from keras.optimizers import RMSprop"),
        ("import tensorflow as tf\ntf.keras.optimizers.Adam(lr=0.1)", "tf.keras.optimizers.Adam(learning_rate="),
        ("from tensorflow.python.keras.layers import Dense\nDense(3)", "from tensorflow.keras.layers import Dense"),
        ("import tensorflow as tf\ntf.contrib.keras.layers.Dense(3)", "tensorflow.keras.layers.Dense(3)"),
        ("from keras.optimizers import SGD\nSGD(0.1, decay=1e-4)", "decay_steps=1, decay_rate=0.0001)"),
        ("from keras.layers.core import Dense\nfrom keras.optimizers import Adagrad\nAdagrad()", "learning_rate"),
        ("from keras.layers import Convolution2D\nConvolution2D(64, 3, 3)", "Conv2D(64, (3, 3))"),
        ("from keras.layers import Conv2D\nConv2D(64, 3, 3)", "Conv2D(64, (3, 3))"),
        ("from keras.layers import Convolution2D as C\nC(nb_filter=6, nb_row=3, nb_col=5)", "kernel_size=(3, 5)"),
        ("from keras.layers import Conv2D\nConv2D(6, 3, border_mode='same', subsample=(2, 2))", "strides=(2, 2)"),
        ("from keras.layers import Conv2D\nConv2D(6, 3, dim_ordering='th')", "data_format='channels_first'"),
        ("from keras.layers import Dense\nDense(output_dim=4, init='uniform')", "kernel_initializer='random_uniform'"),
        ("from keras.layers import Dense\nDense(output_dim=4)", "Dense(units=4)"),
        ("from keras.layers import Embedding\nEmbedding(5, output_dim=4, input_length=3)", "output_dim=4"),
        ("from keras.layers import Dropout\nDropout(p=0.5)", "Dropout(rate=0.5)"),
        ("from keras.layers import LeakyReLU\nLeakyReLU(alpha=0.1)", "LeakyReLU(negative_slope=0.1)"),
        ("from keras.layers import ELU\nELU(alpha=0.1)", "ELU(alpha=0.1)"),
        ("from keras.layers import Dense\nDense(3, W_regularizer=None, bias=False)", "kernel_regularizer=None, use_bias"),
        ("from keras.constraints import maxnorm\nmaxnorm(3)", "max_norm(3)"),
        ("from keras.callbacks import ReduceLROnPlateau\nReduceLROnPlateau(epsilon=0.1)", "min_delta=0.1"),
        ("from keras import backend as K\nK.set_image_dim_ordering('th')", "set_image_data_format('channels_first')"),
        (
            "from keras import backend as K\nif K.image_dim_ordering() == 'tf':\n    z = go()",
            "keras.backend.image_data_format() == 'channels_last'",
        ),
        ("from keras import backend as K\nz = K.mean(x)", "tensorflow.keras.backend.mean(x)"),
        ("from keras.preprocessing.sequence import pad_sequences\npad_sequences(x)", "import pad_sequences"),
        (
            "from keras.preprocessing.text import Tokenizer\nTokenizer()",
            "from tensorflow.keras.preprocessing.text import Tokenizer",
        ),
        ("z = other.predict_classes(x)\nprint(z)", "predicted_classes(other.predict(x))"),
        ("z = other.evaluate_generator(g, 10, workers=3)", "other.evaluate(g, steps=10)"),
        ("z = other.predict_generator(g, steps=10)", "other.predict(g, steps=10)"),
        ("set_rate(model.optimizer.lr)", "model.optimizer.learning_rate"),
    ],
)  # fmt: skip
def test_what_has_moved_is_replaced_and_named(code, old, new) -> None:
    script, notes = code(old)
    assert new in script
    if new not in old:
        assert any(line.startswith("  cell 2: ") for line in notes), notes
    assert not [line for line in notes if "Keras 3 has no" in line]
    ast.parse(script)


@pytest.mark.parametrize(
    ("old", "advice"),
    [
        ("from keras.layers import merge\nmerge([a, b], mode='concat')", "keras.layers.concatenate([a, b])"),
        ("from keras.layers import MaxoutDense\nMaxoutDense(3)", "keras.layers.MaxoutDense"),
        ("from keras.layers.local import LocallyConnected2D as L\nL(3)", "LocallyConnected2D; instead"),
        ("from keras.wrappers.scikit_learn import KerasClassifier\nKerasClassifier()", "keras.wrappers.SKLearnClassifier"),
        ("from keras.utils import multi_gpu_model\nmulti_gpu_model(m)", "keras.distribution.DataParallel"),
        ("from keras.models import model_from_yaml\nmodel_from_yaml(t)", "keras.models.model_from_json"),
        ("import tensorflow as tf\nz = tf.placeholder(1)\ngo(z)", "TensorFlow 2 has no tensorflow.placeholder"),
        ("import keras\nkeras.layers.Dens(3)", "instead: keras.layers.Dense"),
        ("from keras.layers import Dense\nDense(3, nonsense=1)", "Keras 3 has no Dense(nonsense=…)"),
        ("from keras.layers import LSTM\nLSTM(3, batch_input_shape=(1, 2, 3))", "keras.Input(batch_shape=…)"),
        ("from keras.optimizers import Nadam\nNadam(schedule_decay=0.1)", "Keras 3 has no Nadam(schedule_decay=…)"),
        ("from keras.layers import BatchNormalization as B\nB(mode=2)", "BatchNormalization(mode=2)"),
        ("t = model.to_yaml()\ngo(t)", "model.to_json()"),
    ],
)  # fmt: skip
def test_what_keras_3_lacks_is_named_with_what_takes_its_place(code, old, advice) -> None:
    _, notes = code(old)
    by_hand = notes[notes.index(next(line for line in notes if line.startswith("not turned"))) :]
    assert any(advice in line for line in by_hand), notes


def test_code_of_keras_3_is_left_as_it_is(code) -> None:
    cell = """\
import keras
from keras import layers, ops
from keras.callbacks import EarlyStopping, ModelCheckpoint
h = layers.Conv2D(64, 3, strides=2, padding='same', data_format=None, kernel_initializer='he_normal', name='a')
keras.optimizers.AdamW(learning_rate=a, weight_decay=0.1, clipnorm=1.0, global_clipnorm=None, ema_momentum=0.9)
go(ops.mean(x), EarlyStopping(monitor='val_loss', restore_best_weights=True, start_from_epoch=3), h)
ModelCheckpoint('a.keras', save_freq='epoch')
go(layers.Bidirectional(layers.GRU(3, return_sequences=True)), layers.RandomRotation(0.1, fill_mode='nearest'))"""
    script, notes = code(cell)
    assert cell.split("\n")[3] in script
    assert not [line for line in notes if "Keras 3" in line]


def test_the_old_default_rate_stays_where_keras_3_has_another(code) -> None:
    old = "from keras.layers.core import Dense\nDense(1)\nfrom keras.optimizers import Adadelta\nz = Adadelta()\ngo(z)"
    done, _ = code(old)
    assert "learning_rate: float = 1.0" in done
    compiled = FIT.replace("loss='mse'", "loss='mse', optimizer='adadelta'")
    script, _ = code("from keras.layers.core import Dense\nDense(1)", compiled)
    assert "keras.optimizers.Adadelta(learning_rate=" in script
    # A notebook without a sign of Keras 2 is told, and left as it is.
    script, notes = code("from keras.optimizers import Adadelta\nz = Adadelta()\ngo(z)")
    assert "z = Adadelta()" in script
    assert any("Keras 2's was 1.0" in line for line in notes)


def test_acc_is_accuracy_where_that_is_what_was_measured(code) -> None:
    cells = [
        "from keras.callbacks import EarlyStopping\nfrom keras.callbacks import ModelCheckpoint",
        "stop = EarlyStopping(monitor='val_acc')\nsave = ModelCheckpoint('w.{val_acc:.2f}.hdf5', 'val_acc')",
        FIT.replace("loss='mse'", "loss='mse', metrics=['acc']").replace(
            "epochs=1", "epochs=1, validation_split=0.1, callbacks=[stop, save]"
        ),
        "go(model.history.history['val_acc'][-1], other['acc'])",
    ]
    script, _ = code(*cells)
    assert "monitor='val_accuracy'" in script
    assert "w.{val_accuracy:.2f}.keras" in script
    assert "metrics=['accuracy']" in script
    assert "callbacks=[runback.keras.Callback(run), stop, save]" in script
    assert "other['acc']" in script
    assert 'return run.best("val_accuracy")' in script


def test_print_statements_and_sessions_of_other_times(code) -> None:
    session = (
        "import tensorflow as tf\nfrom keras.backend.tensorflow_backend import set_session\n"
        "config = tf.ConfigProto()\nconfig.gpu_options.allow_growth = True\nset_session(tf.Session(config=config))"
    )
    script, notes = code(session, FIT + "\ns = model.evaluate(x, y)\nprint 'loss', s,\nprint")
    assert "print('loss', s, end=\" \")" in script
    assert "print()" in script
    assert "Session" not in script
    assert "config" not in script
    assert sum("TensorFlow 2 has no sessions" in line for line in notes) == 3


def test_what_cannot_be_parsed_is_left_out_and_named(code) -> None:
    script, notes = code("a = 1", "if True print 'x'", "exec 'x = 1'", "return 1")
    assert "    exec" not in script
    by_hand = [line for line in notes if "no Python 3, left out" in line]
    assert [line.split(":")[0] for line in by_hand] == ["  cell 3", "  cell 4", "  cell 5"]
    assert "To be done by hand:" in script
