"""Stores a model of any library in its run, by the module of MLflow that knows the library."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import importlib
import logging
import re
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import Model

from runback.errors import InputError, RunbackError
from runback.tracking.mlflow_limits import first_line
from runback.tracking.write.logged_model import MODEL_NAME
from runback.tracking.write.run_writer import RunWriter

logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # it warns where no pip is installed

FLAVORS = {
    "keras": "keras",
    "sklearn": "sklearn",
    "torch": "pytorch",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
}
"""The module of MLflow for a library's models, by the library's module."""

PACKAGES = {"sklearn": ("scikit-learn", "skops"), "pytorch": ("torch",)}
"""The packages that a flavor's models need, where they are not called as it is."""

NAME = re.compile(r"[A-Za-z_]\w*")


def log_model(run: RunWriter, model: Any, name: str, flavor: str | None, options: Mapping[str, Any]) -> None:
    """Store a model in `run`, which stays RUNNING, as its logged model `name`.

    `flavor` is a module of MLflow, by default the one for the model's library, and gets `options`. Errors:
    InputError for a name, a flavor or a model that MLflow does not take; those of `RunWriter`.
    """
    if not re.fullmatch(r"[\w. -]{1,200}", name):
        raise InputError(
            f"run.log_model: a model's name is of letters, digits, '_', '-', '.'; got {name!a:.100}"
        )
    chosen = flavor or flavor_of(model)
    if chosen == "keras":
        from runback.tracking.write.network_artifacts import log_network

        log_network(run, model, name=name, options=options)
        return
    module = _module(chosen)
    description = Model(artifact_path=MODEL_NAME, run_id=run.id)
    given = {"pip_requirements": requirements(chosen), **options}
    with run.logging_model(name) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module.save_model(model, str(folder), mlflow_model=description, **given)
        except RunbackError:
            raise
        except (MlflowException, ImportError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"mlflow.{chosen} cannot store a {type(model).__qualname__}: {first_line(str(error))}"
            ) from error


def flavor_of(model: Any) -> str:
    """Return the module of MLflow for a model's library. Errors: InputError for one that is not known."""
    for one in type(model).__mro__:
        library = one.__module__.partition(".")[0]
        if library in FLAVORS:
            return FLAVORS[library]
    raise InputError(
        f"run.log_model does not know a {type(model).__module__}.{type(model).__qualname__}: name the module "
        "of MLflow that saves it, as in run.log_model(model, flavor='xgboost')"
    )


def requirements(flavor: str) -> list[str]:
    """Return the packages that a server of such a model needs, each pinned to the version installed here."""
    pinned = []
    for name in ("mlflow", *PACKAGES.get(flavor, (flavor,)), "numpy"):
        try:
            pinned.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return pinned


def _module(flavor: str) -> Any:
    """Return a module of MLflow that saves models. Errors: InputError."""
    try:
        module = importlib.import_module(f"mlflow.{flavor}") if NAME.fullmatch(flavor) else None
    except ImportError as error:
        raise InputError(f"mlflow.{flavor} cannot be used: {first_line(str(error))}") from error
    if not hasattr(module, "save_model"):
        raise InputError(f"MLflow has no flavor {flavor!a:.100}: give the name of a module, as xgboost")
    return module
