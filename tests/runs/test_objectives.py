import pytest

from runback.runs.objectives import higher_is_better, recorded_objectives


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
