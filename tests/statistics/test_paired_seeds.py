"""Statistics of the confirm stage, against published values and by simulation."""

import numpy as np
import pytest
from scipy import stats

from runback.statistics.interval import mean_interval
from runback.statistics.paired_seeds import standings, welch

# Student's sleep data (Biometrika 6, 1908): hours of sleep gained with two drugs, by the same ten patients.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def compared(*values, maximize=True, search=None):
    """Return the standings of finalists 0, 1, ... with these values."""
    confirmed = dict(enumerate(values))
    return standings(search or dict.fromkeys(confirmed, 0.0), confirmed, maximize=maximize)


def declared(values) -> bool:
    """Tell whether any finalist is called worse than the best."""
    return any(one.is_behind for one in compared(*values))


def test_the_mean_has_students_interval():
    found = mean_interval(FIRST)
    # R: t.test(extra[group == 1])
    assert (found.mean, found.low, found.high) == pytest.approx((0.75, -0.5297804, 2.0297804), abs=1e-6)


def test_a_lead_over_one_other_is_students_paired_interval():
    best, other = compared(FIRST, SECOND)
    assert (best.trial, best.lead) == (1, None)
    lead = other.lead
    # R: t.test(extra ~ group, paired = TRUE)
    assert (lead.mean, lead.low, lead.high) == pytest.approx((1.58, 0.7001142, 2.4598858), abs=1e-6)
    assert other.is_behind


def test_the_probability_of_being_best_of_two_is_that_of_the_paired_t():
    best, other = compared(FIRST, SECOND)
    assert best.probability_best == pytest.approx(1 - 0.00283289 / 2, abs=0.001)  # R's p-value, one-sided
    assert best.probability_best + other.probability_best == pytest.approx(1)


def test_independent_values_have_welchs_interval():
    found = welch(SECOND, FIRST)
    # R: t.test(extra ~ group)
    assert (found.low, found.high) == pytest.approx((-0.2054832, 3.3654832), abs=1e-6)
    assert not found.is_beyond_noise


def test_intervals_are_those_of_scipy():
    generator = np.random.default_rng(0)
    for n, m in ((2, 2), (3, 5), (20, 4)):
        first, second = generator.normal(0.7, 0.01, n), generator.normal(0.69, 0.03, m)
        one, two = mean_interval(first), welch(first, second)
        theirs = stats.ttest_1samp(first, 0.0).confidence_interval(0.95)
        assert (one.low, one.high) == pytest.approx(tuple(theirs), rel=1e-12)
        theirs = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
        assert (two.low, two.high) == pytest.approx(tuple(theirs), rel=1e-12)


def test_leads_over_several_are_corrected_for_all_pairs():
    alone = compared(FIRST, SECOND)[1].lead
    among_three = next(one for one in compared(FIRST, SECOND, [-9.0, *FIRST[1:]]) if one.trial == 0).lead
    assert among_three.mean == alone.mean
    # t(9) at 1 - 0.05 / 3 / 2 and at 0.975: 2.933324 and 2.262157 (R: qt)
    half = (alone.high - alone.low) / 2
    assert (among_three.high - among_three.low) / 2 == pytest.approx(half * 2.933324 / 2.262157, rel=1e-6)


def test_when_less_is_better_the_least_mean_is_best():
    best, other = compared(FIRST, SECOND, maximize=False, search={0: -1.0, 1: 2.0})
    assert best.trial == 0
    assert other.lead.mean == pytest.approx(1.58)
    assert best.optimism == pytest.approx(1.75)  # it looked 1.75 less, so better, than the mean of 0.75
    assert other.optimism == pytest.approx(0.33)


def test_optimism_is_by_how_much_the_search_looked_better():
    [best] = compared([0.8, 0.9], search={0: 0.95})
    assert best.optimism == pytest.approx(0.1)
    assert best.probability_best is None


def test_the_same_values_are_no_lead():
    best, other = compared(FIRST, FIRST)
    assert best.trial == 0
    assert other.lead.mean == 0
    assert not other.is_behind
    assert other.probability_best is None


@pytest.mark.parametrize("shift", [0.01, 1.0])
def test_a_difference_that_is_the_same_on_every_seed_is_not_called_real(shift):
    """There is no noise to judge it by; two seeds of coarse accuracies give the same difference often."""
    other = compared([0.5, 0.61, 0.7], [0.5 + shift, 0.61 + shift, 0.7 + shift])[1]
    assert other.lead.mean == pytest.approx(shift)
    assert not other.is_behind
    assert other.lead.low != other.lead.low


def test_a_large_difference_is_found_whatever_the_seeds_have_in_common():
    generator = np.random.default_rng(0)
    seeds = generator.normal(0, 10, 5)
    values = [seeds + generator.normal(0, 0.1, 5) + mean for mean in (0, 1, 3)]
    best, *others = compared(*values)
    assert best.trial == 2
    assert all(one.is_behind for one in others)
    assert best.probability_best > 0.99


def test_results_are_the_same_each_time():
    assert compared(FIRST, SECOND, FIRST[::-1]) == compared(FIRST, SECOND, FIRST[::-1])


@pytest.mark.parametrize(("finalists", "seeds"), [(2, 5), (3, 5), (3, 2), (5, 3)])
@pytest.mark.parametrize("images", [None, 200], ids=["exact", "coarse"])
def test_of_equal_means_one_is_called_better_in_5_percent_of_cases_at_most(
    finalists, seeds, images, monkeypatch
):
    monkeypatch.setattr("runback.statistics.paired_seeds.DRAWS", 10)
    generator, cases = np.random.default_rng(finalists * 10 + seeds), 1000
    wrong = 0
    for _ in range(cases):
        # Accuracies around 0.9: what a seed does to all, and what it does to each.
        values = 0.9 + generator.normal(0, 0.01, seeds) + generator.normal(0, 0.005, (finalists, seeds))
        wrong += declared(values if images is None else np.round(values * images) / images)
    # 0.05 and three standard errors of 1,000 cases.
    assert wrong / cases <= 0.05 + 3 * (0.05 * 0.95 / cases) ** 0.5


def test_two_equal_finalists_are_told_apart_about_as_often_as_stated(monkeypatch):
    monkeypatch.setattr("runback.statistics.paired_seeds.DRAWS", 10)
    generator, cases = np.random.default_rng(7), 2000
    wrong = sum(declared(generator.normal(size=(2, 5))) for _ in range(cases))
    assert wrong / cases == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / cases) ** 0.5)


def test_the_probability_of_being_best_of_equal_ones_is_even_on_average(monkeypatch):
    monkeypatch.setattr("runback.statistics.paired_seeds.DRAWS", 200)
    generator = np.random.default_rng(3)
    chances = np.zeros(3)
    for _ in range(600):
        for one in compared(*generator.normal(size=(3, 5))):
            chances[one.trial] += one.probability_best / 600
    assert chances == pytest.approx(1 / 3, abs=0.05)
