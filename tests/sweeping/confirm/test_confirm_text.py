"""What people are told about finalists."""

from runback.statistics.paired_seeds import standings
from runback.sweeping.confirm.confirm_results import Confirmed, Training
from runback.sweeping.confirm.confirm_text import confirm_section, terminal_lines, verdict
from runback.sweeping.confirm.finalists import ConfirmPlan, Finalist

LOW = [0.50, 0.52, 0.51]
HIGH = [0.90, 0.92, 0.93]


def confirmed(*values, twins=None, incomplete=0):
    """Return the results of finalists 0, 1, ..., and of others that have a value on one seed alone."""
    seeds = list(range(1001, 1001 + len(values[0])))
    everyone = range(len(values) + incomplete)
    finalists = [Finalist(trial, 0.99, {"x": trial}, (twins or {}).get(trial, [])) for trial in everyone]
    trainings = [
        Training(trial, seed, value, None)
        for trial, one in enumerate(values)
        for seed, value in zip(seeds, one, strict=True)
    ]
    trainings += [Training(trial, seeds[0], 0.9, None) for trial in everyone[len(values) :]]
    known = standings(dict.fromkeys(everyone, 0.99), dict(enumerate(values)), maximize=True)
    return Confirmed("s", True, ConfirmPlan(finalists, seeds, "seed", {}), trainings, known)


def test_none_is_called_better_within_noise():
    assert verdict(confirmed(LOW, LOW[::-1])) == (
        "Trials 0 and 1 differ by less than noise: none of them is better."
    )


def test_a_lead_over_some_is_told_apart_from_one_over_all():
    assert verdict(confirmed(HIGH, LOW)) == "Trial 0 is better than trial 1, beyond noise."
    told = verdict(confirmed(HIGH, [*HIGH[1:], HIGH[0]], LOW))
    assert told.endswith("is better than trial 2, beyond noise; from trial 1 it differs by less than noise.")


def test_seeds_that_make_no_difference_are_no_evidence():
    told = verdict(confirmed([0.9, 0.9], [0.5, 0.5]))
    assert told.startswith("Fresh seeds (seed) made no difference: there is no noise to judge by")


def test_trials_that_differ_only_in_their_seed_are_named():
    alone = confirmed(HIGH, twins={0: [5, 7]})
    assert verdict(alone) == (
        "Trials 0, 5 and 7 differ only in their seed: they are one configuration, and none of them is better."
    )
    among = confirmed(HIGH, LOW, twins={1: [4]})
    assert "Trials 1 and 4 differ only in their seed: one finalist." in terminal_lines(among)


def test_finalists_without_all_values_are_named_and_not_compared():
    result = confirmed(HIGH, incomplete=1)
    assert verdict(result) == "Only trial 0 has a value on every fresh seed."
    assert "  no mean: trial 1 has a value on 1 of 3 seeds" in terminal_lines(result)
    assert "No mean: trial 1 has a value on 1 of 3 seeds." in confirm_section(result)


def test_the_section_has_a_row_for_each_finalist_and_says_how_it_was_judged():
    section = confirm_section(confirmed(HIGH, LOW, LOW[::-1]), "Registered as x.")
    assert "| 0 | 0.9167 | 0.8787 to 0.9546 | 0.9900 | +0.0733 | the best | 100 % |" in section.replace(
        "&ensp;", ""
    )
    assert "corrected for 3 pairs (Bonferroni)" in section
    assert "1001, 1002, 1003" in section
    assert "\nRegistered as x.\n" in section
    assert section.startswith("## ")
