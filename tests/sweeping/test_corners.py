import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from runback.errors import InputError
from runback.sweeping.corners import composed_corners, whole_numbers
from runback.sweeping.space.search_space import parse


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("interval(4.5,17.5)", ": write int(interval(5, 17)) or range(5, 18)"),
        ("tag(log,interval(1.5,64))", ": write tag(log, int(interval(2, 64)))"),
        ("interval(0.2,0.8)", ", and 0.2 to 0.8 has none"),
        ("interval(0.5,1.5)", ": write 1"),
        ("range(0.5,4,0.5)", ": write range(1, 4)"),
        ("range(2.0,9.0,2.0)", ": write range(2, 9, 2)"),
        ("range(0.0,4,0.3)", ": write range(0, 4, 3)"),
        ("range(0.5,4.5,1.0)", ", and 0.5 to 3.5 has none"),
        ("range(0.1,0.9,0.1)", ", and 0.1 to 0.8, step 0.1 has none"),
        ("range(0.7,1.2,0.1)", ": write 1"),
        ("range(-2.5,3,0.5)", ": write range(-2, 3)"),
        ("range(0.25,9,0.75)", ": write range(1, 8, 3)"),
        ("range(0.5,2.5,1e-9)", ": write range(1, 3)"),
    ],
)
def test_the_whole_numbers_of_a_range_of_fractions_are_told(written, told):
    searched = parse({"n": written}, [], None)
    reason = "n: Value '0.5' of type 'float' could not be converted to Integer"
    assert whole_numbers(searched, reason) == f"n: it takes whole numbers only{told}"


class Composes:
    """Composes a config of three groups as Hydra does, and counts how often."""

    groups = frozenset({"part", "other", "third"})

    def __init__(self):
        self.count = 0

    def compose(self, number, overrides):
        self.count += 1
        given = dict(one.split("=", 1) for one in overrides)
        for key in given:
            if key == "typo" or (key == "part.depth" and given.get("part") != "deep"):
                raise ConfigCompositionException(
                    f"Could not override '{key}'.\nTo append to your config use +{key}"
                )
        return OmegaConf.create({"part": {"depth": 1}})


def searched_with(key):
    names = {"part": "deep,shallow", "other": "a,b,c", "third": "d,e,f", "x": "1,2", "y": "1,2", "z": "1,2"}
    return parse({**names, key: "3,4"}, [], None)


def test_only_the_key_that_is_refused_is_looked_for_in_the_choices_of_groups():
    composer = Composes()
    with pytest.raises(
        InputError,
        match=r"part=shallow; to search it with deep only, write part.depth=tag\(deep,choice\(3,4\)\), or",
    ):
        composed_corners(composer, searched_with("part.depth"))
    assert composer.count <= 2 + 2
    composer = Composes()
    with pytest.raises(ConfigCompositionException):
        composed_corners(composer, searched_with("typo"))
    assert composer.count <= 1 + 2 + 3 + 3
