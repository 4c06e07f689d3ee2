"""ImageDataGenerator of Keras 2: as layers where they do what it did, else kept and named."""

import pytest

from runback.runs.importing.task_script import import_notebook

START = """\
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator
x = y = a = b = load()
model = Sequential()
model.compile(loss='mse')"""


@pytest.fixture
def imported(tmp_path, write_notebook):
    def import_cells(options: str, flow: str = "", fit: str = "steps_per_epoch=len(x) // 32, epochs=2"):
        cells = [
            START,
            f"d = ImageDataGenerator({options})",
            f"d.fit(x)\nh = model.fit_generator(d.flow(x, y{flow}), {fit})",
            "model.save_weights('w.h5')",
        ]
        write_notebook(tmp_path / "n.ipynb", cells)
        return import_notebook(tmp_path / "n.ipynb")

    return import_cells


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ("rotation_range=40", "RandomRotation(factor=40 / 360, fill_mode='nearest')"),
        (
            "width_shift_range=0.1, height_shift_range=0.2, fill_mode='reflect'",
            "RandomTranslation(height_factor=0.2, width_factor=0.1, fill_mode='reflect')",
        ),
        ("zoom_range=0.2", "RandomZoom(height_factor=0.2, width_factor=0.2, fill_mode='nearest')"),
        ("zoom_range=[0.5, 1.25]", "RandomZoom(height_factor=(-0.5, 0.25), width_factor=(-0.5, 0.25)"),
        ("horizontal_flip=True", "RandomFlip(mode='horizontal')"),
        ("horizontal_flip=True, vertical_flip=True", "RandomFlip(mode='horizontal_and_vertical')"),
        (
            "rotation_range=8, fill_mode='constant', cval=0.5, zca_whitening=False, rescale=None",
            "RandomRotation(factor=8 / 360, fill_mode='constant', fill_value=0.5)",
        ),
    ],
)
def test_random_images_become_layers_in_front_of_the_model(imported, options, layers) -> None:
    script = imported(options).script
    assert f"keras.layers.{layers}" in script
    assert "ImageDataGenerator" not in script
    assert "steps_per_epoch" not in script
    assert "model.fit(x, y, batch_size=batch_size, epochs=epochs" in script
    assert script.index("keras.Sequential([keras.Input(x.shape[1:])") < script.index("model.compile")
    assert "network.save_weights" in script
    compile(script, "s", "exec")


@pytest.mark.parametrize(
    ("options", "flow", "fit"),
    [
        ("featurewise_center=True", "", "epochs=2"),
        ("zca_whitening=True", "", "epochs=2"),
        ("shear_range=0.2, horizontal_flip=True", "", "epochs=2"),
        ("brightness_range=(0.5, 1.5)", "", "epochs=2"),
        ("channel_shift_range=10.0", "", "epochs=2"),
        ("rescale=1.0 / 255", "", "epochs=2"),
        ("preprocessing_function=go", "", "epochs=2"),
        ("width_shift_range=3", "", "epochs=2"),
        ("width_shift_range=[-1, 1]", "", "epochs=2"),
        ("zoom_range=z", "", "epochs=2"),
        ("horizontal_flip=True", ", save_to_dir='out'", "epochs=2"),
        ("horizontal_flip=True", "", "steps_per_epoch=2000, epochs=2"),
        ("horizontal_flip=True", "", "epochs=2, validation_data=ImageDataGenerator(rescale=0.1).flow(a, b)"),
    ],
)
def test_what_no_layers_do_stays_a_generator_and_is_named(imported, options, flow, fit) -> None:
    done = imported(options, flow, fit)
    assert "from tensorflow.keras.preprocessing.image import ImageDataGenerator" in done.script
    assert f"model.fit(d.flow(x, y{flow})" in done.script
    assert "d.fit(x)" in done.script
    assert "run.data((x, y), 'training')" in done.script
    assert any("ImageDataGenerator stays" in note.text for note in done.notes.of("note"))
    compile(done.script, "s", "exec")


def test_a_generator_that_changes_nothing_is_its_arrays(imported) -> None:
    script = imported(
        "", ", batch_size=16", "epochs=2, validation_data=ImageDataGenerator().flow(a, b), validation_steps=3"
    ).script
    assert "ImageDataGenerator" not in script
    assert "Sequential([" not in script
    assert "batch_size: int = 16" in script
    assert "validation_data=(a, b)" in script
    assert "validation_steps" not in script
