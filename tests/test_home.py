"""No home: no HOME and a user whom no passwd entry knows, as containers and clusters run jobs."""

import subprocess
import sys

import pytest

NOBODY = ("unshare", "--user", "--map-user=12345")


@pytest.fixture(scope="module")
def _can_be_nobody():
    try:
        subprocess.run([*NOBODY, "true"], capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"this machine lets nobody be somebody else: {error}")


def run(project, *arguments, **environment):
    environment = {"PATH": project.environment()["PATH"], "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.run(
        [*NOBODY, sys.executable, "-m", "runback", *arguments],
        cwd=project.folder, env=environment, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip


@pytest.mark.usefixtures("_can_be_nobody")
def test_without_a_home_a_run_is_trained_evaluated_and_compared(project):
    train = ("train", "training.epochs=1", "data.limit=100", "model.dense_width=8")
    trained = run(project, *train)
    assert (trained.returncode, trained.stderr) == (0, "")
    run_id = trained.stdout.split()[-1]
    for command in (("compare", run_id), ("evaluate", run_id), ("export", run_id, "a.runback"), ("doctor",)):
        done = run(project, *command)
        assert (done.returncode, done.stderr) == (0, ""), command
    sweep = ("--multirun", "optimizer=sgd,adam", "hydra.sweeper.n_workers=1")
    swept = run(project, *train, *sweep)
    assert (swept.returncode, swept.stderr) == (0, "")


@pytest.mark.usefixtures("_can_be_nobody")
@pytest.mark.parametrize("exists", [True, False])
def test_a_home_that_does_not_exist_or_cannot_be_written_to_is_no_matter(project, tmp_path, exists):
    home = tmp_path / "home"
    if exists:
        home.mkdir(mode=0o555)
    train = ("train", "training.epochs=1", "data.limit=100", "model.dense_width=8")
    trained = run(project, *train, HOME=str(home))
    assert (trained.returncode, trained.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", [("--config", "~nobody-here/x.yaml"), ("data=folder", "data.path='~nobody-here/x'")]
)
def test_a_home_of_nobody_is_refused_in_one_line(project, arguments):
    done = project.run("train", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr


@pytest.mark.parametrize("variable", ["RUNBACK_ROOT", "RUNBACK_MLRUNS"])
def test_a_folder_in_a_home_of_nobody_is_refused_in_one_line(project, variable):
    done = project.run("doctor", **{variable: "~nobody-here/x"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "~nobody-here/x" in done.stderr


@pytest.mark.usefixtures("_can_be_nobody")
@pytest.mark.parametrize("variable", ["RUNBACK_ROOT", "RUNBACK_MLRUNS"])
def test_ones_own_folder_is_refused_where_one_is_nobody(project, variable):
    done = run(project, "doctor", **{variable: "~/x"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "begins with the home of nobody: '~/x'" in done.stderr
