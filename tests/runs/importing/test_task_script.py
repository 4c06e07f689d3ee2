# ruff: noqa: E501 - a case is a line
"""The script that a notebook becomes: parameters, data, what is left out, what stays."""

import ast

import pytest

from runback.runs.importing.task_script import import_notebook

START = "from keras.models import Sequential\nimport numpy as np"
BUILD = "model = Sequential()\nmodel.compile(loss='mse', optimizer='sgd')"


@pytest.fixture
def imported(tmp_path, write_notebook):
    def import_cells(*cells: str):
        write_notebook(tmp_path / "n.ipynb", [START, *cells])
        return import_notebook(tmp_path / "n.ipynb")

    return import_cells


def parameters(*cells: str, imported) -> list[str]:
    return [*imported("x = y = np.ones(3)", *cells).parameters]


def test_constants_become_typed_parameters(imported) -> None:
    cells = (
        "EPOCHS = 25\nBATCH_SIZE = 128\nLEARNING_RATE = 1e-3\nDROPOUT = 1\nNAME = 'a'\nUSE = True",
        "ROWS, COLS = 32, 16\nSHAPE = (32, 32)\nWIDTHS = [32, 64]\nSTEPS = 100 // BATCH_SIZE\nNEG: int = -1",
        BUILD,
        "go(LEARNING_RATE, DROPOUT, NAME, USE, ROWS, COLS, SHAPE, WIDTHS, STEPS, NEG)",
        "model.fit(x, y, epochs=EPOCHS, batch_size=BATCH_SIZE)",
    )
    assert parameters(*cells, imported=imported) == [
        "epochs: int = 25",
        "batch_size: int = 128",
        "learning_rate: float = 0.001",
        "dropout: float = 1.0",
        "name: str = 'a'",
        "use: bool = True",
        "rows: int = 32",
        "cols: int = 16",
        "shape: tuple[int, int] = (32, 32)",
        "widths: list[int] = [32, 64]",
        "neg: int = -1",
    ]
    assert "STEPS = 100 // batch_size" in imported("x = y = np.ones(3)", *cells).script


def test_numbers_of_the_fit_become_parameters_where_there_are_no_constants(imported) -> None:
    assert parameters(
        "from keras.optimizers import Adam",
        BUILD.replace("'sgd'", "Adam(learning_rate=0.01)"),
        "model.fit(x, y, 64, 12, verbose=0, validation_split=0.1)",
        imported=imported,
    ) == [
        "batch_size: int = 64",
        "epochs: int = 12",
        "validation_split: float = 0.1",
        "learning_rate: float = 0.01",
    ]
    named = ("epochs = 12\nn = 3", BUILD, "model.fit(x, y, epochs=epochs, batch_size=n)")
    assert parameters(*named, imported=imported) == ["epochs: int = 12", "n: int = 3"]


def test_a_parameter_never_hides_another_thing(imported) -> None:
    cells = ("EPOCHS = 2\nLAMBDA = 0.1\nRUN = 3\nMODEL = 'm'\nTWICE = 1", "TWICE = 2", BUILD)
    script = imported(
        "x = y = np.ones(3)",
        *cells,
        "epochs = range(EPOCHS)\ngo(epochs, LAMBDA, RUN, MODEL, TWICE)\nmodel.fit(x, y, epochs=EPOCHS)",
    ).script
    for one in (
        "EPOCHS: int = 2",
        "LAMBDA: float = 0.1",
        "RUN: int = 3",
        "MODEL: str = 'm'",
        "epochs=EPOCHS",
    ):
        assert one in script
    assert "TWICE = 2" in script
    ast.parse(script)
    assert (
        "this_run: runback.Run"
        in imported("run = x = y = np.ones(3)", BUILD, "model.fit(x, y, epochs=1)").script
    )


def test_functions_see_what_they_saw_in_the_notebook(imported) -> None:
    done = imported(
        "UNITS = 8\ncount = 0",
        "def build(width=UNITS, batch_size=4):\n    global count\n    count += 1\n    go(UNITS, batch_size)\n"
        "    model = Sequential()\n    model.compile(loss='mse')\n    return model",
        "x = y = np.ones(3)\nnet = build()\nhistory = net.fit(x, y, batch_size=4)",
    )
    assert "nonlocal count" in done.script
    assert "def build(width=units, batch_size=4):" in done.script
    assert "go(units, batch_size)" in done.script
    compile(done.script, "s", "exec")


def test_what_only_shows_is_left_out_and_what_was_measured_is_printed(imported) -> None:
    done = imported(
        "%matplotlib inline\nimport matplotlib.pyplot as plt\n!ls",
        "x = y = np.ones(3)\nprint(x.shape)",
        "x.shape",
        "print(x.shape, len(y))",
        "fig, ax = plt.subplots()\nax.imshow(x)\nplt.show()",
        BUILD + "\nmodel.summary()",
        "h = model.fit(x, y, epochs=1)\nplt.plot(h.history['loss'])",
        "losses = h.history['loss']\nepochs = range(len(losses))\nplt.plot(epochs, losses)\nplt.show()",
        "s = model.evaluate(x, y)\nprint('loss', s)",
        "z = model.predict(x)\nnp.save('z.npy', z)",
    )
    assert [note.line().split(":")[0] for note in done.notes.of("left out")] == [
        f"cell {number}" for number in (2, 2, 4, 5, 6, 7, 8, 9)
    ]
    assert "plt" not in done.script
    assert "matplotlib" not in done.script
    assert "print(x.shape)" in done.script  # in a cell that loads
    assert "print('loss', s)" in done.script
    assert "np.save(str(run.folder / 'z.npy'), z)" in done.script
    assert "epochs = range" not in done.script


def test_magics_are_named_and_the_code_below_them_stays(imported) -> None:
    done = imported(
        "%%time\nx = y = np.ones(3)\ntext = '''\n%no magic\n!no command\n'''\ngo(text, 5\n% 3)",
        "%%bash\nrm -rf /",
        "files = !ls\n%time model = Sequential()\nmodel.compile(loss='mse')\nif x:\n    !mkdir a\nhelp?",
        "%time model.fit(x, y, epochs=1)",
    )
    assert "rm -rf" not in done.script
    assert "%no magic" in done.script
    assert "    % 3)" in done.script
    assert done.script.count(".fit(") == 1
    texts = [note.line() for note in done.notes.of("left out")]
    assert "cell 5: %time: a magic of IPython; its line stays" in texts
    assert [text for text in texts if "cell 3" in text] == ["cell 3: a cell %%bash of IPython"]
    assert len([text for text in texts if "cell 4" in text]) == 4


@pytest.mark.parametrize(
    ("fit", "data"),
    [
        ("model.fit(x, y, epochs=1)", ["(x, y), 'training'"]),
        ("model.fit(x[:2], y[:2], validation_data=(x[2:], y[2:]))", ["(x[:2], y[:2]), 'training'", "(x[2:], y[2:]), "]),
        ("model.fit([x, x], [y, y], epochs=1)", ["([x, x], [y, y]), 'training'"]),
        ("model.fit(x=x, y=y, epochs=1, callbacks=None)", ["(x, y), 'training'"]),
        ("model.fit(x, y, epochs=1, sample_weight=w)", ["(x, y, w), 'training'"]),
        (
            "import tensorflow as tf\nd = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)\nmodel.fit(d, epochs=1)",
            ["(x, y), 'training'"],
        ),
        (
            "import keras\nd = keras.utils.image_dataset_from_directory('photos')\nmodel.fit(d, epochs=1)",
            ["'photos', 'training'"],
        ),
        (
            "from keras.preprocessing.image import ImageDataGenerator\n"
            "d = ImageDataGenerator(rescale=1 / 255).flow_from_directory('photos')\nmodel.fit_generator(d, 10)",
            ["'photos', 'training'"],
        ),
    ],
)  # fmt: skip
def test_the_run_is_given_what_the_fit_trains_on(imported, fit, data) -> None:
    script = imported("x = y = w = np.ones(3)", BUILD, fit).script
    for one in data:
        assert f"run.data({one}" in script
    assert script.count("runback.keras.Callback(run)") == 1


def test_data_that_cannot_be_fingerprinted_is_named(imported) -> None:
    done = imported("def g():\n    yield 1", BUILD, "model.fit_generator(g(), steps_per_epoch=3, epochs=2)")
    assert "    run.data(" not in done.script
    (note,) = done.notes.of("by hand")
    assert note.line().startswith("cell 4: the fingerprint of the training data: give run.data(…)")


def test_the_last_of_several_fits_is_recorded_and_the_others_are_named(imported) -> None:
    done = imported("x = y = np.ones(3)", BUILD, "model.fit(x, y, epochs=1)", "model.fit(x, y, epochs=2)")
    assert done.script.count("Callback(run)") == 1
    assert done.script.index("Callback(run)") > done.script.index("epochs=1")
    assert [note.cell for note in done.notes.of("by hand")] == [4]


def test_cifar10_is_read_from_a_path(imported) -> None:
    done = imported(
        "import tensorflow as tf\n(x, y), (a, b) = tf.keras.datasets.cifar10.load_data()",
        BUILD,
        "model.fit(x, y, epochs=1, validation_data=(a, b))",
    )
    assert done.parameters[0] == "data_path: str | None = None"
    assert "(x, y), (a, b) = load_cifar10(data_path)" in done.script
    assert "from runback.classifier.data import cifar10" in done.script


def test_a_seed_is_a_parameter_and_the_run_seeds_by_it(imported) -> None:
    fit = (BUILD, "model.fit(x, y, epochs=1)")
    named = imported("SEED = 7\nnp.random.seed(SEED)\nx = y = np.ones(3)\ngo(SEED)", *fit)
    assert "seed: int = 7" in named.parameters
    assert "go(seed)" in named.script
    assert "random.seed" not in named.script
    literal = imported("import tensorflow as tf\ntf.set_random_seed(3)\nx = y = np.ones(3)", *fit)
    assert "seed: int = 3" in literal.parameters


@pytest.mark.parametrize(
    ("arguments", "metrics", "objective"),
    [
        ("", "", "loss"),
        (", validation_split=0.1", "", "val_loss"),
        (", validation_split=0.1", ", metrics=['accuracy']", "val_accuracy"),
        (", validation_split=0.1", ", metrics=['mae', 'acc']", "val_accuracy"),
        (", validation_split=0.1", ", metrics=['mae']", "val_mae"),
        (", validation_data=None", ", metrics=['accuracy']", "accuracy"),
        (", validation_split=0.1", ", metrics=[own]", "val_loss"),
    ],
)
def test_the_objective_is_what_is_measured(imported, arguments, metrics, objective) -> None:
    build = f"model = Sequential()\nmodel.compile(loss='mse'{metrics})"
    done = imported("own = x = y = np.ones(3)", build, f"model.fit(x, y, epochs=1{arguments})")
    assert done.objective == objective
    assert f'return run.best("{objective}")' in done.script


def test_files_are_written_into_the_runs_folder_by_names_that_keras_3_takes(imported) -> None:
    script = imported(
        "from keras.callbacks import ModelCheckpoint\nx = y = np.ones(3)",
        BUILD,
        "model.fit(x, y, epochs=1, callbacks=[ModelCheckpoint('out/best.hdf5')])",
        "open('m.json', 'w').write(model.to_json())\nmodel.save_weights('w.h5')\nmodel.load_weights('w.h5')\n"
        "model.save('m.h5')\nother.load_weights('before.h5')",
    ).script
    assert "ModelCheckpoint(str(run.folder / 'best.keras'))" in script
    assert "open(str(run.folder / 'm.json'), 'w')" in script
    assert script.count("str(run.folder / 'w.weights.h5')") == 2
    assert "model.save(str(run.folder / 'm.h5'))" in script
    assert "other.load_weights('before.h5')" in script


def test_a_whole_number_stays_one_where_a_slice_needs_it(imported) -> None:
    cells = ("SPLIT = 40\nDROPOUT = 0", BUILD, "model.fit(x[:SPLIT], y[:SPLIT], epochs=DROPOUT)")
    assert parameters(*cells, imported=imported) == ["split: int = 40", "dropout: float = 0.0"]


def test_files_of_one_name_in_two_folders_stay_two(imported) -> None:
    script = imported(
        "x = y = np.ones(3)", BUILD, "model.fit(x, y)", "model.save('a/m.keras')\nmodel.save('b/m.keras')"
    ).script
    assert "run.folder / 'm.keras'" in script
    assert "run.folder / 'b_m.keras'" in script
