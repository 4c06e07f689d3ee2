"""The engines that trials run on: what a trial means is the same on each."""

import contextlib

import pytest

from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.remote.local_workers import LocalWorkers
from runback.sweeping.trials.remote.on_ray.ray_settings import RaySettings
from runback.sweeping.trials.remote.on_ray.ray_workers import RayWorkers
from runback.sweeping.trials.remote.remote_engine import RemoteEngine
from runback.sweeping.trials.remote.slurm_jobs import SlurmSettings
from runback.sweeping.trials.remote.slurm_workers import SlurmWorkers

TELLING = (
    "test_every_trial_gets_a_process_of_its_own_and_its_value_is_told",
    "test_a_poor_trial_is_pruned_and_a_good_one_is_not",
    "test_a_killed_trial_is_tried_again_with_its_number_and_its_params",
)
"""The tests that run on every engine when slow ones do not."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark all others as slow, but on this machine's own processes, before those are left out."""
    for item in items:
        call = getattr(item, "callspec", None)
        if call and call.params.get("engine", "local") != "local" and item.originalname not in TELLING:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", params=["local", "workers", "slurm", "ray"])
def engine(request, tmp_path_factory):
    if request.param == "local":
        engine = LocalEngine()
    elif request.param == "workers":
        engine = RemoteEngine(LocalWorkers(), tmp_path_factory.mktemp("meeting"), 4)
    elif request.param == "ray":
        settings = RaySettings(address=request.getfixturevalue("ray_cluster").address)
        engine = RemoteEngine(RayWorkers(settings), tmp_path_factory.mktemp("meeting"), 4)
    else:
        request.getfixturevalue("slurm")
        engine = RemoteEngine(SlurmWorkers(SlurmSettings()), tmp_path_factory.mktemp("meeting"), 2)
    with contextlib.closing(engine):
        yield engine
