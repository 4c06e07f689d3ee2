"""A table of curves has what was searched, and only trainings that came to their end, of all its sweeps."""

import pandas as pd

from record_curves import added, table
from runback import Sweep


def test_a_table_has_each_epoch_of_each_trial_that_trained_to_its_end():
    trials = pd.DataFrame(
        {
            "run": ["a", "b", "c", "d"],
            "trial": [0, 1, 1, 2],
            "optimizer.name": ["adam", "sgd", "sgd", "adam"],
            "learning_rate": [9.0, 9.0, 9.0, 9.0],  # a metric
            "optimizer.learning_rate": [0.1, 0.2, 0.2, 0.3],
        }
    )
    curves = pd.DataFrame(
        {
            "run": ["a", "a", "b", "b", "c", "c", "d"],
            "trial": [0, 0, 1, 1, 1, 1, 2],
            "epoch": [1, 2, 1, 2, 1, 2, 1],
            "val_accuracy": [0.1, 0.2, 0.3, 0.4, 0.3, 0.4, 0.5],
            "val_loss": [9.0, 8.0, 7.0, 6.0, 7.0, 6.0, 5.0],
            "epoch_seconds": [3.0, 2.0, 3.0, 2.0, None, None, 3.0],  # c repeats b; d was killed
            "loss": [1.0] * 7,
        }
    )
    rows = table(Sweep(trials, curves), ["optimizer", "optimizer.learning_rate"], 2)
    assert rows.to_dict("list") == {
        "optimizer": ["adam", "adam", "sgd", "sgd"],
        "optimizer.learning_rate": [0.1, 0.1, 0.2, 0.2],
        "epoch": [1, 2, 1, 2],
        "val_accuracy": [0.1, 0.2, 0.3, 0.4],
        "val_loss": [9.0, 8.0, 7.0, 6.0],
        "seconds": [3.0, 2.0, 3.0, 2.0],
    }


def test_configs_of_another_seed_are_added_and_those_recorded_again_replaced():
    known = pd.DataFrame(
        {"optimizer": ["adam", "sgd"], "rate": [0.1, 0.2], "epoch": 1, "seconds": [1.0, 2.0]}
    )
    more = pd.DataFrame({"optimizer": ["sgd", "sgd"], "rate": [0.2, 0.1], "epoch": 1, "seconds": [3.0, 4.0]})
    assert added(known, more, ["optimizer", "rate"]).to_dict("list") == {
        "optimizer": ["adam", "sgd", "sgd"],
        "rate": [0.1, 0.2, 0.1],
        "epoch": [1, 1, 1],
        "seconds": [1, 3, 4],
    }
