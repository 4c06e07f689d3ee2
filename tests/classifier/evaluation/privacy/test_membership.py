import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from runback.classifier.evaluation.privacy.membership import class_attacks, membership_attack
from runback.classifier.evaluation.privacy.membership_section import membership_section


def test_a_network_that_learned_by_heart_is_found_out(made_answers):
    attack = membership_attack(
        made_answers(2_000, sureness=6).losses, made_answers(2_000, sureness=2, seed=1).losses
    )
    assert attack.area.low > 0.6
    assert attack.spared.low > 0.5
    assert attack.found[0.01].value > 0.01
    assert attack.found[0.001] is None


def test_a_network_that_learned_nothing_gives_nothing_away(made_answers):
    attack = membership_attack(
        made_answers(2_000, sureness=0).losses, made_answers(2_000, sureness=0, seed=1).losses
    )
    assert attack.area.low < 0.5 < attack.area.high


def test_the_area_is_scikit_learns(made_answers):
    members, others = made_answers(300).losses, made_answers(500, seed=1).losses
    expected = roc_auc_score(np.repeat([1, 0], [300, 500]), -np.concatenate([members, others]))
    assert membership_attack(members, others).area.value == pytest.approx(expected, abs=1e-12)


def test_small_classes_are_not_measured_by_themselves(made_answers):
    members, others = made_answers(60, sureness=3), made_answers(600, seed=1)
    assert class_attacks(members, others) == [None] * 4
    section = membership_section(members, others)
    assert any("too few" in note for note in section.notes)
    assert "membership_tpr_at_0_001_fpr" not in section.measures
