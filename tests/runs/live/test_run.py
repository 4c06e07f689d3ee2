"""What a run makes of what a task does to it, also of what it should not."""

import os
import threading

import numpy as np
import pytest
from omegaconf import OmegaConf

from runback.errors import InputError, TrainingError
from runback.runs.checkpoint import load_newest
from runback.runs.live.run import RunContext, train
from runback.runs.tasks.task_spec import task_spec
from runback.tracking.layout import Layout
from runback.tracking.read.find_runs import find_run
from runback.tracking.store import open_store


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return Layout(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def trained(layout):
    """Train a function as a task; return its run in MLflow, and the run that the function was given."""

    def run_task(function, **context):
        number = len(list(layout.runs.glob("*"))) if layout.runs.is_dir() else 0
        folder = layout.runs / str(number)
        folder.mkdir(parents=True)
        config = OmegaConf.create({"run": {"seed": 3, "threads": 1, "experiment": "runs"}})
        spec = task_spec(config, share=1, name="t", choices={}, overrides=[], folder=folder, layout=layout)
        given = []

        def task(run):
            given.append(run)
            return function(run)

        try:
            train(task, spec, RunContext({"script": "t.py", "name": "t"}, **context))
        finally:
            run_task.run = given[0]
        return find_run(open_store(layout), given[0]._writer.id)

    run_task.layout = layout
    return run_task


def newest(trained):
    """Return the newest run of all."""
    return open_store(trained.layout).client.search_runs(["1"])[0]


def curves(trained, run):
    client = open_store(trained.layout).client
    return {
        name: [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def test_a_loop_left_by_a_break_is_over(trained):
    def task(run):
        for epoch in run.epochs(10):
            run.log(loss=float(epoch))
            if epoch == 2:
                break
        run.log(test_loss=7.0)
        return run.best("loss")

    found = curves(trained, trained(task))
    assert found["loss"] == [(1, 0.0), (2, 1.0), (3, 2.0)]
    assert found["test_loss"] == [(4, 7.0)]


def test_a_training_in_two_phases_counts_on(trained):
    def task(run):
        seen = [list(run.epochs(2)), list(run.epochs(5))]
        assert seen == [[0, 1], [2, 3, 4]]
        return 1.0

    assert trained(task).info.status == "FINISHED"


@pytest.mark.parametrize("step", [0, -1, 1.5, True, "3", 10**12, [1]])
def test_a_step_that_is_none_is_named(trained, step):
    with pytest.raises(TrainingError, match=r"run\.log: step counts from 1 to 100,000; got"):
        trained(lambda run: run.log(loss=1.0, step=step))


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"loss": "0.5"}, r"run\.log: loss: expected a number; got '0\.5'"),
        ({"loss": np.zeros(3)}, r"run\.log: loss: expected a number"),
        ({"loss": None}, r"run\.log: loss: expected a number; got None"),
        ({"loss": True}, r"run\.log: loss: expected a number; got True"),
        ({"loss": 10**400}, r"run\.log: loss: "),
        (0.5, r"run\.log takes a mapping, or names"),
        ({7: 1.0}, r"run\.log: a metric's name must be a text; got 7"),
        ({"": 1.0}, r"run\.log: a metric's name must be a text; got ''"),
    ],
)
def test_a_metric_that_is_none_is_named(trained, metrics, message):
    with pytest.raises(TrainingError, match=message):
        trained(lambda run: run.log(metrics))


def test_numbers_of_every_kind_are_metrics(trained):
    values = {
        "a": 1,
        "b": np.float32(0.5),
        "c": np.array(2),
        "d": float("nan"),
        "e": float("inf"),
        "f": 1e308,
    }
    run = trained(lambda run: run.log(values) or 1.0)
    assert {name: value for name, value in run.data.metrics.items() if name in "abcf"} == {
        "a": 1.0, "b": 0.5, "c": 2.0, "f": 1e308,
    }  # fmt: skip


def test_a_step_may_be_logged_again_and_steps_may_go_backwards(trained):
    def task(run):
        run.log(loss=3.0, step=3)
        run.log(loss=1.0, step=1)
        run.log(accuracy=0.5, step=1)
        assert [dict(row) for row in run.history] == [{"loss": 1.0, "accuracy": 0.5}, {}, {"loss": 3.0}]
        run.log(loss=4.0)
        return run.best("loss")

    found = curves(trained, trained(task))
    assert sorted(found["loss"]) == [(1, 1.0), (3, 3.0), (4, 4.0)]


def test_several_threads_may_log(trained):
    def task(run):
        def log(name):
            for step in range(1, 21):
                run.log({name: float(step)}, step=step)

        threads = [threading.Thread(target=log, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 1.0

    found = curves(trained, trained(task))
    for name in "abc":
        assert found[name] == [(step, float(step)) for step in range(1, 21)]


def test_a_forked_process_cannot_record(trained):
    def task(run):
        run.log(loss=1.0)
        child = os.fork()
        if child == 0:
            try:
                run.log(loss=2.0)
            except TrainingError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        return run.best("loss")

    assert curves(trained, trained(task))["loss"] == [(1, 1.0)]


def test_a_run_that_has_ended_records_nothing_more(trained):
    before = trained(lambda run: run.log(loss=1.0) or 1.0)
    for record in (
        lambda run: run.log(loss=2.0),
        lambda run: run.checkpoint({"a": 1}),
        lambda run: run.result(weights=[1.0]),
        lambda run: run.set_tags({"a": "b"}),
    ):
        with pytest.raises(TrainingError, match="the run has ended"):
            record(trained.run)
    after = find_run(open_store(trained.layout), before.info.run_id)
    assert (after.data.to_dictionary(), after.info.status) == (before.data.to_dictionary(), "FINISHED")
    assert load_newest(trained.run.folder) is None


def test_bad_input_after_the_run_began_is_a_failed_run(trained):
    def task(run):
        run.log(loss=1.0)
        run.epochs("five")

    with pytest.raises(InputError, match=r"run\.epochs takes the number of epochs; got 'five'"):
        trained(task)
    run = newest(trained)
    assert run.info.status == "FAILED"
    assert run.data.tags["runback.reason"].startswith("run.epochs takes")


def test_what_fails_before_the_first_epoch_is_a_failed_run(trained):
    def task(run):
        raise ZeroDivisionError("in their own code")

    with pytest.raises(ZeroDivisionError):
        trained(task)
    run = newest(trained)
    assert run.info.status == "FAILED"
    assert run.data.tags["runback.reason"] == "ZeroDivisionError: in their own code"


def test_a_loop_and_a_callback_cannot_both_count_the_epochs(trained):
    from runback.keras import Callback

    def both(run):
        for _ in run.epochs(2):
            Callback(run)

    with pytest.raises(InputError, match=r"the run has run\.epochs, which counts them"):
        trained(both)

    def two(run):
        Callback(run)
        Callback(run)

    with pytest.raises(InputError, match=r"the run has a runback\.keras\.Callback"):
        trained(two)


@pytest.mark.parametrize("state", [None, [1, 2], np.zeros(3)])
def test_a_state_that_is_no_mapping_is_refused(trained, state):
    with pytest.raises(TrainingError, match=r"run\.checkpoint keeps a mapping"):
        trained(lambda run: run.checkpoint(state))


@pytest.mark.parametrize(
    "name",
    [
        "/somewhere/notes.txt",
        "../../notes.txt",
        "",
        ".",
        "a\x1b.txt",
        "config.yaml",
        "./config.yaml",
        "record/record.json",
        "record",
    ],
)
def test_an_artifact_stays_in_the_run_and_beside_its_record(trained, name):
    with pytest.raises(InputError, match="artifact"):
        trained(lambda run: run.log_text("mine", name) or 1.0)
    assert not list(trained.layout.mlruns.rglob("notes.txt"))


def test_an_artifact_that_is_no_file_is_named(trained, tmp_path):
    with pytest.raises(InputError, match=r"run\.log_artifact: there is no file"):
        trained(lambda run: run.log_artifact(tmp_path) or 1.0)
    (tmp_path / "notes.txt").write_text("mine")
    run = trained(lambda run: run.log_artifact(tmp_path / "notes.txt", "texts") or 1.0)
    client = open_store(trained.layout).client
    assert [one.path for one in client.list_artifacts(run.info.run_id, "texts")] == ["texts/notes.txt"]


def test_a_param_has_a_name_and_one_value(trained):
    with pytest.raises(InputError, match="cannot be stored"):
        trained(lambda run: run.log_params({"a?b": 1}) or 1.0)

    def task(run):
        run.log_params({"layers": 3})
        run.begin()
        run.log_params({"layers": 3})
        with pytest.raises(InputError, match=r"layers is 3 in this run; got 4"):
            run.log_params({"layers": 4})
        return 1.0

    assert trained(task).data.params["layers"] == "3"


@pytest.mark.parametrize(
    "second", [("a.b", np.zeros(3)), ("a", {"b": np.zeros(3)}), ("a", np.zeros(3)), ("c", {})]
)
def test_data_of_one_name_or_none_is_refused(trained, second):
    def task(run):
        run.data({"x": np.ones(3)}, "a")
        run.data(np.ones(3), "a.b")
        name, value = second
        run.data(value, name)

    with pytest.raises(InputError, match=r"run\.data (has '.*' already|was given nothing)"):
        trained(task)


ODD = {
    "a name that is none": lambda run: run.data(np.ones(2), name=3),
    "an empty name": lambda run: run.data(np.ones(2), name=""),
    "fewer than no epochs": lambda run: run.epochs(-1),
    "a tag that is none": lambda run: run.set_tags("about"),
    "a tag without a name": lambda run: run.set_tags({"": "about"}),
    "params that are none": lambda run: run.log_params(3),
    "a param's odd name": lambda run: run.log_params({"a?": 1}),
    "no file": lambda run: run.log_artifact("gone.txt"),
    "a folder for a file": lambda run: run.log_artifact("."),
    "a file for the folder above": lambda run: run.log_artifact(__file__, "../.."),
    "a file for a folder elsewhere": lambda run: run.log_artifact(__file__, "/tmp/elsewhere"),  # noqa: S108
    "a text for the folder above": lambda run: run.log_text("a", "../../a.txt"),
    "a text elsewhere": lambda run: run.log_text("a", "/tmp/elsewhere.txt"),  # noqa: S108
    "a text without a name": lambda run: run.log_text("a", ""),
    "a text for a folder": lambda run: run.log_text("a", "notes/"),
    "a number for a text": lambda run: run.log_text(3, "a.txt"),
    "a number for a figure": lambda run: run.log_figure(3, "a.png"),
    "an array for an image": lambda run: run.log_image(np.ones((3, 3)), "a.png"),
}


@pytest.mark.parametrize("call", ODD.values(), ids=ODD.keys())
def test_odd_arguments_are_named_before_the_run_begins(trained, call):
    said = []

    def task(run):
        with pytest.raises(InputError) as error:
            call(run)
        said.append(str(error.value))
        assert run._writer is None
        run.log(loss=1.0)
        return 1.0

    trained(task)
    assert len(said[0].splitlines()) == 1


def test_metrics_that_are_no_mapping_are_named(trained):
    def task(run):
        with pytest.raises(TrainingError, match=r"as run\.log\(loss=0\.5\); got 3"):
            run.log(3)
        run.log({"..": 2.0, "../loss": 1.0})
        return 1.0

    assert {"_.", "_._loss"} <= {*trained(task).data.metrics}


def test_a_task_that_exits_without_a_value_has_failed(trained):
    def task(run):
        run.log(loss=1.0)
        raise SystemExit(0)

    with pytest.raises(TrainingError, match=r"ended by sys\.exit"):
        trained(task)
    assert newest(trained).info.status == "FAILED"
