import warnings

import keras
import numpy as np
import pytest
from sklearn.metrics import f1_score

from runback.classifier.training.macro_f1 import MacroF1


def one_hot(answers: np.ndarray, k: int) -> np.ndarray:
    return np.eye(k, dtype=np.float32)[answers]


def measured(labels: np.ndarray, answers: np.ndarray, k: int, batch: int = 7) -> float:
    metric = MacroF1(k)
    for start in range(0, len(labels), batch):
        metric.update_state(labels[start : start + batch], one_hot(answers[start : start + batch], k))
    return float(metric.result())


@pytest.mark.parametrize("seed", range(5))
def test_it_is_scikit_learns_over_the_whole_set_and_not_a_mean_of_batches(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(5, 200, p=[0.6, 0.2, 0.1, 0.07, 0.03])
    answers = np.where(rng.random(200) < 0.6, labels, rng.integers(0, 5, 200))
    expected = f1_score(labels, answers, average="macro")
    assert measured(labels, answers, 5) == pytest.approx(expected, abs=1e-6)
    means = [f1_score(labels[i : i + 7], answers[i : i + 7], average="macro") for i in range(0, 200, 7)]
    assert np.mean(means) != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("labels", "answers"),
    [
        ([0, 0, 1], [0, 0, 0]),  # a class that is never answered counts 0
        ([0, 0, 0], [0, 1, 1]),  # so does one that is answered and has no image
        ([0, 1, 0], [1, 0, 1]),  # nothing is right
        ([2, 2, 2], [2, 2, 2]),  # the others neither occur nor are answered
    ],
)
def test_absent_classes_count_as_in_scikit_learn(labels: list[int], answers: list[int]) -> None:
    expected = f1_score(labels, answers, average="macro", zero_division=0)
    assert measured(np.array(labels), np.array(answers), 4) == pytest.approx(expected, abs=1e-6)


def test_one_hot_and_smoothed_labels_count_as_their_positions() -> None:
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    metric = MacroF1(3)
    metric.update_state(one_hot(labels, 3) * 0.9 + 0.1 / 3, one_hot(answers, 3))
    assert float(metric.result()) == pytest.approx(f1_score(labels, answers, average="macro"), abs=1e-6)


def test_it_begins_anew_after_a_reset_and_is_nought_before_any_image() -> None:
    metric = MacroF1(2)
    metric.update_state(np.array([0, 1]), one_hot(np.array([0, 1]), 2))
    assert float(metric.result()) == 1
    metric.reset_state()
    assert float(metric.result()) == 0


def test_its_config_makes_it_again() -> None:
    with warnings.catch_warnings():
        again = MacroF1.from_config(MacroF1(3).get_config())
    assert isinstance(again, keras.metrics.Metric)
    assert again.get_config() == MacroF1(3).get_config()
