import pytest

from runback.tracking.objective_tags import objective_tags, tagged_objectives


@pytest.mark.parametrize(
    "objectives",
    [{}, {"val_loss": "minimize"}, {"[odd": "maximize"}, {"a": "minimize", "b, c": "maximize"}],
)
def test_objectives_come_back_from_their_tags(objectives):
    tags = objective_tags(objectives)
    found = tagged_objectives(tags.get("runback.objective"), tags.get("runback.direction"))
    assert found == objectives
    assert list(found) == list(objectives)


@pytest.mark.parametrize(
    ("objective", "direction"),
    [
        ("a", None),
        ("a", "up"),
        ("[1", "minimize"),
        ('["a", "b"]', "minimize"),
        ("[" * 5000, "[]"),
        (None, None),
    ],
)
def test_tags_of_another_form_name_no_objective(objective, direction):
    assert tagged_objectives(objective, direction) == {}
