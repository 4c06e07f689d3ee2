from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from runback.classifier.training.schedule import OneCycle, constant, cosine, one_cycle
from runback.errors import InputError
from runback.system.config.targets import build

CONF = Path(__file__).parents[3] / "conf"


def rates(schedule: keras.optimizers.schedules.LearningRateSchedule, steps: int) -> np.ndarray:
    return np.array([float(schedule(step)) for step in range(steps)])


def test_constant_is_a_plain_number() -> None:
    assert constant(0.01, epochs=5, steps_per_epoch=10) == 0.01


def test_constant_with_warm_up_rises_in_equal_steps_and_stays() -> None:
    found = rates(constant(0.01, epochs=3, steps_per_epoch=4, warmup_epochs=1), 12)
    assert found[0] == pytest.approx(0.0025)
    np.testing.assert_allclose(np.diff(found[:5]), 0.0075 / 4, rtol=1e-4)
    np.testing.assert_allclose(found[4:], 0.01, rtol=1e-6)


def test_cosine_starts_at_the_peak_halves_in_the_middle_and_ends_at_0() -> None:
    schedule = cosine(0.1, epochs=4, steps_per_epoch=5)
    assert [float(schedule(step)) for step in (0, 10, 20)] == pytest.approx([0.1, 0.05, 0.0], abs=1e-8)


def test_cosine_with_warm_up_peaks_when_the_warm_up_ends() -> None:
    found = rates(cosine(0.1, epochs=4, steps_per_epoch=10, warmup_epochs=0.5), 41)
    assert found[0] == pytest.approx(0.02)
    assert int(found.argmax()) == 5
    assert found[5] == pytest.approx(0.1)
    assert found[40] == pytest.approx(0, abs=1e-8)
    assert np.all(np.diff(found[5:]) < 0)


def test_one_cycle_rises_and_falls_in_equal_steps_none_of_which_is_0() -> None:
    found = rates(one_cycle(0.1, epochs=4, steps_per_epoch=5, rise=0.25), 21)
    np.testing.assert_allclose(found[:5], [0.02, 0.04, 0.06, 0.08, 0.1], rtol=1e-6)
    np.testing.assert_allclose(np.diff(found[4:]), -0.1 / 16, rtol=1e-4)
    assert found[19] == pytest.approx(0.1 / 16)
    assert found[20] == 0


@pytest.mark.parametrize(("epochs", "steps", "rise"), [(1, 1, 0.5), (1, 2, 0.99), (3, 1, 0.01), (7, 13, 0.3)])
def test_one_cycle_of_any_length_reaches_its_peak_once(epochs: int, steps: int, rise: float) -> None:
    found = rates(one_cycle(0.1, epochs, steps, rise=rise), epochs * steps)
    assert found.max() == pytest.approx(0.1)
    assert (found == found.max()).sum() == 1
    assert found.min() > 0


@pytest.mark.parametrize("rise", [0, 1, 1.5, -0.1, "early", True])
def test_a_rise_that_is_no_share_is_refused(rise: object) -> None:
    spec = {"_target_": "runback.classifier.training.schedule.one_cycle", "rise": rise}
    with pytest.raises(InputError, match=r"schedule\.rise: "):
        build(spec, where="schedule", learning_rate=0.1, epochs=5, steps_per_epoch=10)


def test_one_cycle_is_stored_with_its_optimizer() -> None:
    optimizer = keras.optimizers.SGD(one_cycle(0.1, epochs=2, steps_per_epoch=3))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again._learning_rate, OneCycle)
    assert again._learning_rate.get_config() == {"peak": 0.1, "rise_steps": 1, "steps": 6}


@pytest.mark.parametrize("schedule", [constant, cosine])
def test_a_warm_up_as_long_as_the_training_is_refused(schedule: object) -> None:
    spec = {"_target_": f"runback.classifier.training.schedule.{schedule.__name__}", "warmup_epochs": 5}
    with pytest.raises(InputError) as caught:
        build(spec, where="schedule", learning_rate=0.1, epochs=5, steps_per_epoch=10)
    assert str(caught.value) == "schedule.warmup_epochs must be less than the 5 epochs to train; got 5"


def test_a_learning_rate_of_0_is_refused() -> None:
    with pytest.raises(InputError, match=r"learning_rate: input should be greater than 0; got 0\.0"):
        build(
            {"_target_": "runback.classifier.training.schedule.cosine"},
            where="schedule",
            learning_rate=0.0,
            epochs=5,
            steps_per_epoch=10,
        )


@pytest.mark.parametrize("file", sorted((CONF / "schedule").glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("optimizer", sorted((CONF / "optimizer").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_optimizer_in_conf_takes_every_schedule(file: Path, optimizer: Path) -> None:
    spec = yaml.safe_load(optimizer.read_text())
    peak = spec.pop("learning_rate")
    schedule = yaml.safe_load(file.read_text())
    rate = build(schedule, where="schedule", learning_rate=peak, epochs=2, steps_per_epoch=3)
    built = build(spec, where="optimizer", learning_rate=rate)
    assert type(built).__name__.lower() == optimizer.stem
    assert float(built.learning_rate) == pytest.approx(peak)
