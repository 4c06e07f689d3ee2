"""What `SharedStorage` overrides of Optuna's storage is what Optuna's cache calls."""

import inspect
import re

from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage

from runback.sweeping.shared.shared_storage_internals import RETRIED, SharedStorage

UNDER_THE_LOCK = {"create_new_study", "delete_study", "_create_new_trial", "set_trial_state_values"}
"""What is done once: a try that was lost may have been written."""

NEVER_CALLED = {"_set_trial_param", "_get_best_trial_id"}
HEARTBEATS = {"record_heartbeat", "get_heartbeat_interval", "get_heartbeat_stale_trial_callback"}


def test_all_that_the_cache_calls_is_known():
    called = set(re.findall(r"self\._backend\.(\w+)", inspect.getsource(_CachedStorage)))
    known = {*RETRIED, *UNDER_THE_LOCK, *NEVER_CALLED, *HEARTBEATS, "_get_stale_trial_ids"}
    assert called <= known


def test_what_is_overridden_is_there_to_be():
    assert [name for name in RETRIED if not callable(getattr(RDBStorage, name, None))] == []
    assert all(getattr(SharedStorage, name) is not getattr(RDBStorage, name) for name in RETRIED)
