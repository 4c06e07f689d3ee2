import copy
import json
import math

import pytest
from scipy.stats import binomtest

from runback.errors import InputError
from runback.provenance.comparing.difference import Difference
from runback.provenance.comparing.verdict import judge

THREADS = Difference("threads", "threads", "2", "1", numeric=True)
PYTHON = Difference("python", "Python", "3.11.7", "3.12.1")
DATA = Difference("data", "train content", "a", "b")


def metrics(epoch, val_accuracy=0.5):
    return {
        **{"val_loss": 1.0 / epoch, "accuracy": 0.1 * epoch, "loss": 1.1 / epoch},
        **{"val_accuracy": val_accuracy, "learning_rate": 0.001},
    }


RESULT = {
    "format": "runback-result-1",
    "epochs": [{"epoch": epoch, "metrics": metrics(epoch)} for epoch in (1, 2, 3)],
    "weights": {"conv/kernel": "a", "conv/bias": "b", "dense/kernel": "c"},
    "predictions": "d",
    "finished": True,
}


def other(epoch=None, weights=(), predictions=None, **values):
    """The result with other metrics in one epoch, other weights or other predictions."""
    result = copy.deepcopy(RESULT)
    for name in weights:
        result["weights"][name] = "other"
    if predictions:
        result["predictions"] = predictions
    if epoch:
        result["epochs"][epoch - 1]["metrics"] |= values
    return result


def test_an_equal_result_is_bit_identical():
    verdict = judge(RESULT, json.loads(json.dumps(RESULT)), [], 100)
    assert (verdict.name, verdict.exit_code) == ("bit-identical", 0)
    assert verdict.compared == ("5 metrics of epochs 1 to 3", "3 tensors", "predictions")
    assert verdict.explain() == ["bit-identical: compared 5 metrics of epochs 1 to 3, 3 tensors, predictions"]


def test_an_equal_result_is_bit_identical_whatever_else_differs():
    assert judge(RESULT, RESULT, [DATA, THREADS, PYTHON], 100).name == "bit-identical"


def test_nan_equals_nan():
    diverged = other(3, loss=math.nan, val_accuracy=math.nan)
    assert judge(diverged, copy.deepcopy(diverged), [], 100).name == "bit-identical"
    assert judge(diverged, RESULT, [], 100).first_epoch == 3
    assert judge(RESULT, diverged, [], 100).first_epoch == 3


@pytest.mark.parametrize(
    ("now", "first"),
    [
        (other(2, loss=math.nextafter(0.55, 1)), (2, "loss", None)),
        (other(3, val_accuracy=0.51), (3, "val_accuracy", None)),
        (other(weights=["dense/kernel", "conv/bias"]), (None, None, "conv/bias")),
        (other(predictions="e"), (None, None, None)),
        (other(1, ["conv/kernel"], val_loss=9, loss=8, accuracy=7), (1, "loss", "conv/kernel")),
        (other(1, accuracy=7, learning_rate=1), (1, "learning_rate", None)),
    ],
)
def test_the_first_that_differs_is_named(now, first):
    verdict = judge(RESULT, now, [], 100)
    assert (verdict.name, verdict.exit_code) == ("different", 1)
    assert (verdict.first_epoch, verdict.first_metric, verdict.first_tensor) == first


def test_the_values_are_shown_with_every_bit():
    value = math.nextafter(0.55, 1)
    verdict = judge(RESULT, other(2, loss=value), [], 100)
    assert (verdict.then, verdict.now) == (0.55, value)
    assert "first difference: epoch 2, loss: 0.55 then, 0.5500000000000002 now" in verdict.explain()[
        1
    ].replace(repr(value), "0.5500000000000002")


def test_the_predictions_are_told():
    assert "the validation predictions differ" in judge(RESULT, other(predictions="e"), [], 100).explain()


@pytest.mark.parametrize("n_epochs", [2, 4])
def test_another_number_of_epochs_is_a_difference(n_epochs):
    now = {**RESULT, "epochs": [{"epoch": e, "metrics": metrics(e)} for e in range(1, n_epochs + 1)]}
    verdict = judge(RESULT, now, [], 100)
    assert verdict.name == "different"
    assert (verdict.first_epoch, verdict.first_metric) == (max(3, n_epochs), "learning_rate")
    assert "missing" in verdict.explain()[1]


def test_no_epoch_at_all_is_a_difference():
    assert (
        judge(RESULT, {"epochs": [], "weights": None, "predictions": None}, [THREADS], 100).name
        == "different"
    )


def test_a_metric_that_only_the_new_run_has_is_no_difference():
    assert judge(RESULT, other(2, top_5_accuracy=1.0), [], 100).name == "bit-identical"


def test_what_was_not_recorded_is_not_compared_and_that_is_said():
    killed = {"epochs": RESULT["epochs"], "weights": None, "predictions": None, "finished": False}
    verdict = judge(killed, RESULT, [], 100)
    assert verdict.name == "bit-identical"
    assert verdict.compared[1:] == (
        "weights (not recorded, so not compared)",
        "predictions (not recorded, so not compared)",
    )


@pytest.mark.parametrize("key", ["weights", "predictions"])
def test_what_only_the_recorded_run_has_is_not_taken_for_equal(key):
    verdict = judge(RESULT, {**RESULT, key: None}, [], 100)
    assert verdict.name == "different"
    assert any("missing from the new run" in line for line in verdict.compared)


def test_one_epoch_is_called_one():
    one = {**RESULT, "epochs": RESULT["epochs"][:1]}
    assert judge(one, one, [], 100).compared[0] == "5 metrics of epoch 1"


def test_another_thread_count_may_give_a_result_within_the_runs_own_noise():
    verdict = judge(RESULT, other(3, val_accuracy=0.55), [THREADS, PYTHON], 100)
    assert (verdict.name, verdict.exit_code) == ("within tolerance", 0)
    (band,) = verdict.bands
    assert (band.metric, band.then, band.now, band.inside) == ("val_accuracy", 0.5, 0.55, True)
    assert verdict.causes == (THREADS,)
    assert verdict.explain()[-1] == "may explain it: threads: 2 then, 1 now"
    assert "inside 0.4038 to 0.5962 (recorded 0.5, 95 % Wilson interval, n = 100)" in verdict.explain()[-2]


@pytest.mark.parametrize(("right", "n"), [(0, 10), (5, 10), (10, 10), (7412, 10_000), (1, 1)])
def test_the_band_is_the_wilson_interval(right, n):
    verdict = judge(other(3, val_accuracy=right / n), other(1, loss=9), [THREADS], n)
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert (verdict.bands[0].low, verdict.bands[0].high) == pytest.approx((expected.low, expected.high))


def test_outside_of_the_band_is_different():
    verdict = judge(RESULT, other(3, val_accuracy=0.6), [THREADS], 100)
    assert (verdict.name, verdict.bands[0].inside) == ("different", False)
    assert any("outside" in line for line in verdict.explain())


@pytest.mark.parametrize(("tolerance", "name"), [(0.02, "within tolerance"), (0.0, "different")])
def test_a_tolerance_takes_the_place_of_the_noise(tolerance, name):
    verdict = judge(RESULT, other(3, val_accuracy=0.51), [THREADS], 100, tolerance)
    assert verdict.name == name
    assert verdict.rule == f"± {tolerance:g}"


def test_both_ends_of_a_band_are_inside():
    for value in (0.25, 0.75):
        assert judge(RESULT, other(3, val_accuracy=value), [THREADS], 100, 0.25).name == "within tolerance"


@pytest.mark.parametrize("part", ["data", "config", "seeds", "code"])
def test_no_band_excuses_another_experiment(part):
    differing = [Difference(part, "x", "1", "2"), THREADS]
    verdict = judge(RESULT, other(3, loss=9), differing, 100)
    assert verdict.name == "different"
    assert verdict.causes == tuple(differing)


@pytest.mark.parametrize("differing", [[], [PYTHON]])
def test_no_band_excuses_what_nothing_explains(differing):
    verdict = judge(RESULT, other(3, loss=9), differing, 100)
    assert verdict.name == "different"
    assert verdict.causes == tuple(differing)
    assert ("nothing differs" in verdict.explain()[-1]) is (differing == [])


@pytest.mark.parametrize("value", [None, math.nan, 1.5])
def test_without_an_accuracy_there_is_no_band(value):
    then = other(3, val_accuracy=value)
    verdict = judge(then, RESULT, [THREADS], 100)
    assert (verdict.name, verdict.bands) == ("different", ())


def test_a_new_accuracy_that_is_none_is_outside():
    assert judge(RESULT, other(3, val_accuracy=math.nan), [THREADS], 100).name == "different"


def test_without_any_epoch_there_is_nothing_to_compare():
    with pytest.raises(InputError, match="completed no epoch"):
        judge({**RESULT, "epochs": []}, RESULT, [], 100)


@pytest.mark.parametrize("tolerance", [-0.1, 1.1, math.nan])
def test_a_senseless_tolerance_is_refused(tolerance):
    with pytest.raises(InputError, match=r"tolerance must lie in \[0, 1\]"):
        judge(RESULT, RESULT, [], 100, tolerance)


def test_many_causes_are_counted():
    many = [Difference("packages", f"p{n}", "1", "2", numeric=True) for n in range(9)]
    assert judge(RESULT, other(1, loss=9), many, 100).explain()[-1] == "and 4 more differences"


def test_a_verdict_as_json():
    facts = json.loads(json.dumps(judge(RESULT, other(3, loss=9), [THREADS], 100).as_dict()))
    assert (facts["verdict"], facts["exit_code"], facts["first_epoch"]) == ("within tolerance", 0, 3)
    assert facts["bands"][0]["inside"] is True
    assert facts["causes"] == [THREADS.as_dict()]
