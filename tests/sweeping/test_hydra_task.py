import dataclasses

from hydra._internal.utils import detect_calling_file_or_module_from_task_function

from runback.sweeping.hydra_task import HydraTask


def doubled(cfg):
    return cfg * 2


def test_a_task_is_called_like_its_function():
    assert HydraTask(doubled)(3) == 6
    assert HydraTask.of(doubled)(3) == 6


def test_a_task_stays_the_task_that_it_is():
    task = HydraTask(doubled, preload=("keras",))
    assert HydraTask.of(task) is task


def test_hydra_calls_what_a_single_run_is_and_a_sweep_calls_the_function():
    task = dataclasses.replace(HydraTask(doubled), single=lambda cfg: "once")
    assert task(3) == "once"
    assert task.run(3) == 6


def test_hydra_names_the_app_by_the_module_of_the_function():

    found = [detect_calling_file_or_module_from_task_function(one) for one in (doubled, HydraTask(doubled))]
    assert found == [(None, doubled.__module__)] * 2
    assert HydraTask(doubled).__wrapped__ is doubled
