"""Where a run pauses that its sweep wants to pause, and where it does not."""

import itertools
import threading
from multiprocessing import Pipe

import keras
import numpy as np
import pytest
from omegaconf import OmegaConf

import runback
from runback.errors import TrialPaused
from runback.runs.checkpoint import load_newest
from runback.runs.live.run import RunContext, train
from runback.runs.tasks.task_spec import task_spec
from runback.sweeping.trials import messages
from runback.sweeping.trials.trial import Trial, TrialClient
from runback.tracking.layout import Layout


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return Layout(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def trained(layout):
    """Train a task as a trial whose sweep wants it to pause at these steps; return its run."""
    count = itertools.count(len(list(layout.runs.glob("*"))))

    def run_task(function, *pauses):
        folder = layout.runs / str(next(count))
        folder.mkdir(parents=True)
        config = OmegaConf.create({"run": {"seed": 3, "threads": 1, "experiment": "runs"}})
        spec = task_spec(config, share=1, name="t", choices={}, overrides=[], folder=folder, layout=layout)
        own, theirs = Pipe()
        trial = Trial.of(function, number=0, sweep="s", folder=folder, threads=1, parent=None)
        thread = threading.Thread(target=answer, args=(theirs, pauses))
        thread.start()
        given = []

        def task(run):
            given.append(run)
            return function(run)

        context = RunContext(
            {"script": "t.py", "name": "t"}, {"loss": "minimize"}, client=TrialClient(trial, own)
        )
        run_task.folder = folder
        try:
            train(task, spec, context)
        finally:
            run_task.history = given[0]._history
            own.close()
            thread.join()

    return run_task


def answer(connection, pauses):
    """Answer the reports of a trial until it has closed its end."""
    try:
        while True:
            message = connection.recv()
            if isinstance(message, messages.Report):
                is_pause = message.step in pauses
                connection.send(messages.Answer.PAUSE if is_pause else messages.Answer.GO_ON)
    except EOFError:
        pass


def test_a_loop_pauses_with_its_checkpoint(trained):
    def task(run):
        for epoch in run.epochs(9):
            run.log(loss=1.0)
            run.checkpoint({"epoch": epoch})

    with pytest.raises(TrialPaused):
        trained(task, 3)
    assert load_newest(trained.folder).epoch == 3


def test_a_training_that_says_that_it_ends_does_not_pause(trained):
    def task(run):
        for epoch in run.epochs(9):
            run.log(loss=1.0)
            run.checkpoint({"epoch": epoch}, is_last=epoch == 2)
            if epoch == 2:
                break
        run.log(test_loss=0.5)
        return run.best("loss")

    trained(task, 3)
    assert len(trained.history) == 4


def test_a_training_that_leaves_its_loop_does_not_pause(trained):
    def task(run):
        for epoch in run.epochs(9):
            run.log(loss=1.0)
            if epoch == 2:
                break
            run.checkpoint({"epoch": epoch})
        run.log(test_loss=0.5)
        return run.best("loss")

    trained(task, 3)
    assert len(trained.history) == 4


def test_a_second_phase_is_asked_again(trained):
    def task(run):
        for phase in (3, 6):
            for epoch in run.epochs(phase):
                run.log(loss=1.0)
                if epoch == 2:
                    break
                run.checkpoint({"epoch": epoch})
        return run.best("loss")

    with pytest.raises(TrialPaused):
        trained(task, 3, 4)
    assert load_newest(trained.folder).epoch == 4


def test_a_loop_that_logs_alone_pauses_an_epoch_late_and_says_so(trained, capsys):
    def task(run):
        for _ in range(9):
            run.log(loss=1.0)

    with pytest.raises(TrialPaused):
        trained(task, 3)
    assert len(trained.history) == 3
    said = capsys.readouterr().out
    assert said.count("note: the sweep pauses this trial, which has trained since it last logged") == 1


@pytest.mark.parametrize("stops_at", [3, 5])
def test_a_keras_fit_that_another_callback_stops_does_not_pause(trained, stops_at):
    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch + 1 == stops_at

    def task(run):
        x = np.ones((8, 2), "float32")
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, x[:, :1], epochs=9, verbose=0, callbacks=[Stops(), runback.keras.Callback(run)])
        return run.best("loss")

    if stops_at == 3:
        trained(task, 3)
    else:
        with pytest.raises(TrialPaused):
            trained(task, 3)
        assert load_newest(trained.folder).epoch == 3
    assert len(trained.history) == 3
