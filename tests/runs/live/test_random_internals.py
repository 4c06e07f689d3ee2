import random
import secrets
import sys
from pathlib import Path

import numpy as np
import pytest

from runback.runs.live.random_internals import noticing_unseeded

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "make",
    [np.random.default_rng, np.random.RandomState, np.random.SeedSequence, np.random.PCG64],
)
def test_a_generator_of_numpys_without_a_seed_is_noticed_by_its_line(make):
    places = []
    with noticing_unseeded(HERE, places):
        make()
        line = sys._getframe().f_lineno - 1
    assert places == [f"{Path(__file__).name}:{line}"]
    make()
    assert len(places) == 1


def test_seeded_generators_and_those_of_others_are_not(tmp_path):
    places = []
    with noticing_unseeded(HERE, places):
        np.random.default_rng(3).normal()
        np.random.RandomState(3).normal()
    with noticing_unseeded(tmp_path, places):
        np.random.default_rng()
    assert places == []


def test_the_systems_generator_works_while_it_is_watched():
    with noticing_unseeded(HERE, []):
        assert len(secrets.token_bytes(8)) == 8
        assert 0 <= random.SystemRandom().random() < 1
