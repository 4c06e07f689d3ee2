import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from runback.classifier.evaluation.privacy.membership import (
    ReferenceLosses,
    class_attacks,
    membership_attack,
    reference_attack,
)
from runback.classifier.evaluation.privacy.membership_section import References, membership_section


def test_a_network_that_learned_by_heart_is_found_out(made_answers):
    attack = membership_attack(
        made_answers(2_000, sureness=6).losses, made_answers(2_000, sureness=2, seed=1).losses
    )
    assert attack.auc.low > 0.6
    assert attack.true_negative_rate.low > 0.5
    assert attack.true_positive_rates[0.01].value > 0.01
    assert attack.true_positive_rates[0.001] is None


def test_a_network_that_learned_nothing_gives_nothing_away(made_answers):
    attack = membership_attack(
        made_answers(2_000, sureness=0).losses, made_answers(2_000, sureness=0, seed=1).losses
    )
    assert attack.auc.low < 0.5 < attack.auc.high


def test_the_area_is_scikit_learns(made_answers):
    members, others = made_answers(300).losses, made_answers(500, seed=1).losses
    expected = roc_auc_score(np.repeat([1, 0], [300, 500]), -np.concatenate([members, others]))
    assert membership_attack(members, others).auc.value == pytest.approx(expected, abs=1e-12)


def test_small_classes_are_not_measured_by_themselves(made_answers):
    members, others = made_answers(60, sureness=3), made_answers(600, seed=1)
    assert class_attacks(members, others) == [None] * 4
    section = membership_section(members, others, References())
    assert any("too few" in note for note in section.notes)
    assert "membership_tpr_at_0_001_fpr" not in section.measures


def references(difficulty, other_difficulty, generator, count=4):
    """Networks that have seen none, half, half or all of the images, and whose losses follow difficulty."""
    shares = [0.0, 0.5, 0.5, 1.0][:count]
    return [
        ReferenceLosses(
            difficulty * generator.uniform(0.9, 1.1, len(difficulty)),
            generator.random(len(difficulty)) >= share,
            other_difficulty * generator.uniform(0.9, 1.1, len(other_difficulty)),
        )
        for share in shares
    ]


def test_references_find_what_difficulty_hides():
    generator = np.random.default_rng(0)
    difficulty, other = generator.exponential(1, (2, 1_000))
    members = difficulty * 0.7
    alone = membership_attack(members, other).auc
    compared = reference_attack(members, other, references(difficulty, other, generator))
    assert compared.low > alone.high > 0.5
    assert compared.n == 2_000


def test_references_find_no_leak_where_there_is_none():
    generator = np.random.default_rng(1)
    losses = generator.exponential(1, 4_000) ** 2  # another image is as hard as one of the training
    members, others = losses[:2_000], losses[2_000:]
    told = [
        ReferenceLosses(
            members * generator.lognormal(0, 0.5, 2_000),
            generator.random(2_000) < 0.125,
            others * generator.lognormal(0, 0.5, 2_000),
        )
        for _ in range(8)
    ]
    found = reference_attack(members, others, told)
    assert found.low < 0.5 < found.high


def test_images_that_all_references_have_seen_are_left_out():
    generator = np.random.default_rng(0)
    difficulty, other = generator.exponential(1, (2, 500))
    told = references(difficulty, other, generator)
    half = reference_attack(difficulty, other, told[1:2])
    assert 700 < half.n < 800
    assert half.low < 0.5 < half.high
    assert reference_attack(difficulty, other, told[3:]) is None
    assert reference_attack(difficulty, other, []) is None
