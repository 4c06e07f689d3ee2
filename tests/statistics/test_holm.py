import numpy as np
import pytest

from runback.statistics.holm import holm


def test_values_are_adjusted_step_by_step_and_keep_their_places():
    # Holm's procedure by hand: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1, each at least the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_one_in_twenty_families_at_most_has_a_false_finding():
    generator = np.random.default_rng(0)
    false = [min(holm(generator.random(10).tolist())) < 0.05 for _ in range(2_000)]
    assert np.mean(false) == pytest.approx(0.05, abs=0.015)
