import re

import pandas as pd
import pytest

from runback.comparison.run_frames import RunFrame
from runback.comparison.runs_table import make_table, varying_columns
from runback.errors import InputError


def frame(metrics=("val_accuracy",), **columns) -> RunFrame:
    count = len(next(iter(columns.values())))
    known = {"run": [f"{number:032x}" for number in range(count)], "status": ["FINISHED"] * count}
    rows = pd.DataFrame(
        {**known, "trial": range(count), **{n.replace("__", "."): v for n, v in columns.items()}}
    )
    facts = {"run", "status", "trial", "duration", "parameters", *metrics}
    return RunFrame(rows, [name for name in rows if name not in facts], list(metrics))


def test_only_what_differs_varies():
    found = frame(model__width=[8, 16], seed=[1, 1], model__note=[None, "x"], model__none=[None, None])
    assert varying_columns(found) == ["model.width", "model.note"]


def test_a_knob_that_only_comes_with_a_choice_is_told_by_the_choice():
    found = frame(
        optimizer__name=["sgd", "sgd", "adam", "adam"],
        optimizer__momentum=[0.9, 0.9, None, None],
        optimizer__epsilon=[None, None, 1e-7, 1e-8],
        optimizer__clipnorm=[1.0, None, None, None],
        optimizer__learning_rate=[0.1, 0.1, 0.01, 0.01],
    )
    expected = ["optimizer.name", "optimizer.epsilon", "optimizer.clipnorm", "optimizer.learning_rate"]
    assert varying_columns(found) == expected


def test_what_a_trial_without_a_training_lacks_does_not_vary():
    found = frame(model__width=[8, 16, 8], seed=[1, 1, None], parameters=[100, 200, None])
    assert varying_columns(found) == ["model.width"]


def test_finished_runs_come_first_the_best_on_top_and_equal_ones_by_trial():
    found = frame(val_accuracy=[0.5, 0.9, None, 0.95, 0.9])
    found.rows["status"] = ["FINISHED", "FINISHED", "FAILED", "KILLED", "FINISHED"]
    assert make_table(found).rows["trial"].tolist() == [1, 4, 0, 3, 2]
    assert make_table(found, sort="val_accuracy").rows["trial"].tolist() == [3, 1, 4, 0, 2]
    assert make_table(found, top=2).rows["trial"].tolist() == [1, 4]
    assert make_table(found, top=2).of == 5


def test_a_sweeps_own_objective_decides_what_is_best():
    objective = {"training.objective": "['val_loss', 'parameters']"}
    found = frame(("val_loss", "val_accuracy"), val_loss=[3.0, 1.0, 2.0], val_accuracy=[0.9, 0.8, 0.1])
    found.rows["parameters"] = [10, 20, 30]
    found = RunFrame(found.rows.assign(**objective), found.causes, found.metrics)
    table = make_table(found)
    assert table.by == "val_loss"
    assert table.rows["trial"].tolist() == [1, 2, 0]
    assert {"val_loss", "val_accuracy", "parameters"} <= set(table.columns)


def test_text_and_durations_are_ordered_from_the_least():
    found = frame(duration=[30.0, 10.0, 20.0], optimizer__name=["sgd", "rmsprop", "adam"])
    assert make_table(found, sort="duration").rows["trial"].tolist() == [1, 2, 0]
    assert make_table(found, sort="optimizer").rows["trial"].tolist() == [2, 1, 0]


def test_columns_go_by_their_last_part_and_a_knob_hides_a_metric_of_its_name():
    found = frame(
        ("learning_rate", "loss"),
        learning_rate=[0.0, 0.1],
        loss=[1.0, 2.0],
        optimizer__learning_rate=[0.5, 0.5],
        training__loss=["a", "b"],
    )
    table = make_table(found, columns=" trial,learning_rate,loss,trial")
    assert table.columns == ["trial", "optimizer.learning_rate", "loss"]
    assert not table.is_default
    assert make_table(found, columns="training.loss").varying == ["training.loss"]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"sort": "vall_accuracy"}, "unknown column 'vall_accuracy': did you mean 'val_accuracy'?"),
        ({"columns": "trial,widht"}, "unknown column 'widht': did you mean 'width'?"),
        ({"columns": "trial,"}, "unknown column ''"),
        ({"sort": "???"}, "unknown column '???': there are run, status, trial"),
    ],
)
def test_an_unknown_column_is_told_with_the_nearest(asked, wanted):
    with pytest.raises(InputError, match=re.escape(wanted)):
        make_table(frame(val_accuracy=[0.5], model__width=[1]), **asked)
