import pytest

from runback.errors import InputError
from runback.runs.objectives import directed, higher_is_better, recorded_objectives


@pytest.mark.parametrize(
    ("param", "names"),
    [
        ("val_loss", ["val_loss"]),
        (str(["val_loss", "parameters"]), ["val_loss", "parameters"]),
        (None, ["val_accuracy"]),
    ],
)
def test_objectives_are_read_back_from_their_param(param, names):
    assert recorded_objectives(param) == names


def test_accuracies_are_better_when_higher_and_what_is_unknown_is_not():
    names = ("val_accuracy", "test_accuracy_cat", "images_per_second", "val_loss", "duration")
    assert [higher_is_better(name) for name in names] == [True, True, True, False, False]


def test_scores_of_every_kind_are_better_when_higher_by_a_word_of_their_name():
    up = ("val_auc", "f1", "val_f1_score", "precision", "val_recall", "r2", "val_iou", "best_val_auc", "acc")
    down = ("loss", "val_mae", "error", "scoreless", "faucet")
    assert all(map(higher_is_better, up))
    assert not any(map(higher_is_better, down))


@pytest.mark.parametrize(
    ("objective", "direction", "found"),
    [
        ("val_loss", None, {"val_loss": "minimize"}),
        ("val_auc", None, {"val_auc": "maximize"}),
        ("val_loss", "max", {"val_loss": "maximize"}),
        (["a_loss", "acc"], None, {"a_loss": "minimize", "acc": "maximize"}),
        (["a", "b"], ["maximize", "minimize"], {"a": "maximize", "b": "minimize"}),
        (None, None, {}),
    ],
)
def test_an_objective_has_the_direction_that_is_given_or_its_names(objective, direction, found):
    assert directed(objective, direction, "it") == found


@pytest.mark.parametrize(("objective", "direction"), [("a", "up"), (["a", "b"], "max"), (None, "min")])
def test_directions_that_do_not_fit_are_refused(objective, direction):
    with pytest.raises(InputError, match="it: direction must be maximize or minimize, one for each"):
        directed(objective, direction, "it")
