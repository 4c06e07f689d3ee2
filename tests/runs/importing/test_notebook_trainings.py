"""The notebooks that this project began with, as .ipynb for Keras 2, train as their experiments do."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import pyarrow.parquet as parquet
import pytest
from scipy.stats import ttest_ind

from runback.tracking.tags import SWEEP_TAG

CIFAR10 = Path(os.environ.get("RUNBACK_CIFAR10", Path(__file__).parents[4] / "shared" / "cifar10")).absolute()

EPOCHS_OF = {"notebook_deep": "nb_epoch", "notebook_augmented": "epochs"}
"""The parameter for the epochs of each experiment's notebook."""

pytestmark = pytest.mark.skipif(
    not (CIFAR10 / "train.parquet").is_file(),
    reason="CIFAR-10 is not here as parquet: ../shared/cifar10 or $RUNBACK_CIFAR10",
)

SEEDS = 3
EPOCHS = 4


def first_images(folder: Path, count: int) -> Path:
    """Write the first images of CIFAR-10, and as many for the test as a fifth of them."""
    folder.mkdir()
    for split, rows in (("train", count), ("test", count // 5)):
        parquet.write_table(
            parquet.read_table(CIFAR10 / f"{split}.parquet").slice(0, rows), folder / f"{split}.parquet"
        )
    return folder


@pytest.fixture
def imported(project, keras2_notebooks, write_notebook) -> Callable[[str], Path]:
    """Import an experiment's notebook by the command."""

    def import_notebook(experiment: str) -> Path:
        notebook = write_notebook(project.folder / f"{experiment}.ipynb", keras2_notebooks[experiment])
        before = notebook.read_bytes()
        done = project.run("import", notebook.name, "--output", f"{experiment}.py")
        assert done.returncode == 0, done.stderr
        assert notebook.read_bytes() == before
        return project.folder / f"{experiment}.py"

    return import_notebook


def run_script(project, script: Path, *arguments: str) -> None:
    done = project.python(script.name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("experiment", EPOCHS_OF)
def test_an_imported_notebook_trains_the_experiments_network(project, tmp_path, imported, experiment) -> None:
    images = first_images(tmp_path / "images", 200)
    script = imported(experiment)
    run_script(project, script, f"data_path={images}", f"{EPOCHS_OF[experiment]}=1")
    (run,) = project.runs()
    assert run.info.status == "FINISHED"
    assert 0 <= run.data.metrics["best_val_accuracy"] <= 1
    assert run.data.metrics["val_accuracy"] == run.data.metrics["best_val_accuracy"]
    (weights,) = project.folder.glob("mlruns/runs/*/*.weights.h5")
    assert size(weights) == parameters(experiment)


def parameters(experiment: str) -> int:
    """Return the size of an experiment's network."""
    from runback.classifier.models.deep_cnn import deep_cnn
    from runback.classifier.models.shallow_cnn import shallow_cnn

    network = deep_cnn if experiment == "notebook_deep" else shallow_cnn
    return network((32, 32, 3), 10).count_params()


def size(weights: Path) -> int:
    """Return the number of weights in a file, without the optimizer's and the random generators'."""
    sizes = []
    with h5py.File(weights) as file:
        file.visititems(
            lambda name, one: (
                sizes.append(one.size)
                if isinstance(one, h5py.Dataset) and not name.startswith("optimizer") and "seed" not in name
                else None
            )
        )
    return sum(sizes)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("experiment", EPOCHS_OF)
def test_an_imported_notebook_reaches_what_its_experiment_does(
    project, tmp_path, imported, experiment
) -> None:
    """On the first 5,000 images, 4 epochs, 3 seeds: the 99 % Welch interval of the difference holds 0."""
    images = first_images(tmp_path / "images", 5000)
    script = imported(experiment)
    seeds = ",".join(map(str, range(SEEDS)))
    sweep = ["--multirun", "hydra.sweeper.n_workers=1"]
    epochs = EPOCHS_OF[experiment]
    run_script(
        project,
        script,
        *(*sweep, "hydra.sweeper.name=imported", f"run.seed={seeds}"),
        *(f"data_path={images}", f"{epochs}={EPOCHS}"),
    )
    done = project.run(
        *("train", *sweep, "hydra.sweeper.name=experiment", f"seed={seeds}", f"experiment={experiment}"),
        *(f"data.path={images}", f"training.epochs={EPOCHS}"),
    )
    assert done.returncode == 0, done.stderr
    reached: dict[str, list[float]] = {"imported": [], "experiment": []}
    for run in project.runs():
        if "mlflow.parentRunId" in run.data.tags:
            assert run.info.status == "FINISHED"
            reached[run.data.tags[SWEEP_TAG]].append(run.data.metrics["best_val_accuracy"])
    print(experiment, reached)
    assert [len(values) for values in reached.values()] == [SEEDS, SEEDS]
    assert min(map(min, reached.values())) > 0.2  # it has learnt something: chance is 0.1
    interval = ttest_ind(reached["imported"], reached["experiment"], equal_var=False).confidence_interval(
        0.99
    )
    assert interval.low <= 0 <= interval.high, reached
    assert math.fabs(interval.high + interval.low) / 2 < 0.06, reached
