"""The private parts of Optuna that runback uses, all of them.

tests/sweeping/study/test_optuna_internals.py has a test for each, which fails when Optuna changes it.
"""

from typing import Any

from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy import Engine


def storage_of(study: Study) -> BaseStorage:
    """Return the storage of a study: it writes whole trials, which `Study.ask` and `Study.tell` cannot."""
    return study._storage


def study_id(study: Study) -> int:
    """Return the ID by which a study's storage knows it."""
    return study._study_id


def trial_id(trial: FrozenTrial) -> int:
    """Return the ID by which a study's storage knows a trial."""
    return trial._trial_id


def database_storage(study: Study) -> Any:
    """Return the storage of a study that writes to its database, behind Optuna's cache where there is one."""
    storage: Any = storage_of(study)
    return getattr(storage, "_backend", storage)


def database_of(study: Study) -> Engine:
    """Return the database of a study."""
    engine: Engine = database_storage(study).engine
    return engine


def forget_cached_trials(study: Study) -> None:
    """Have a study read its trials from its database again, the finished ones too."""
    storage: Any = storage_of(study)
    if hasattr(storage, "_backend"):
        study._storage = type(storage)(storage._backend)


def close_connections(study: Study) -> None:
    """Close the connections of a study's database."""
    database_of(study).dispose()


def replace_cmaes_pickle(replacement: type) -> None:
    """Have Optuna's CMA-ES sampler pickle its state by `replacement.dumps` and `replacement.loads`."""
    import optuna.samplers._cmaes as optuna_cmaes

    optuna_cmaes.pickle = replacement  # type: ignore[assignment,attr-defined]
