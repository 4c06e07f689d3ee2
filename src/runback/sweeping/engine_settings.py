"""The engine that a sweep's trials run on, `hydra.sweeper.engine`: this machine, or others' workers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from runback.errors import InputError
from runback.sweeping.trials.engines.engine import Engine
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.remote.workers import Workers
from runback.system.text.listing import did_you_mean

REMOTE = ("slurm", "ray")
"""The engines whose trials run on workers of other machines."""


def check_engine(engine: Any) -> None:
    """Raise InputError for an engine that is none, or a knob of it that does not fit."""
    if engine is None:
        return
    if not isinstance(engine, dict):
        raise InputError(f"an engine is chosen with slashes: hydra/sweeper/engine={engine}")
    if engine.get("name") not in REMOTE:
        raise InputError(
            f"hydra.sweeper.engine has the name {engine.get('name')!r:.80}; expected {', '.join(REMOTE)}"
        )
    remote_settings(engine)


def remote_settings(engine: Mapping[str, Any]) -> Any:
    """Return the knobs of an engine, checked. Errors: InputError."""
    kind = _settings_of(engine["name"])
    knobs = {str(key): value for key, value in engine.items() if key != "name" and value is not None}
    try:
        return TypeAdapter(kind).validate_python(knobs)
    except ValidationError as error:
        [first, *_] = error.errors()
        key = ".".join(map(str, first["loc"]))
        if not key:  # of several together
            raise InputError(first["msg"].removeprefix("Value error, ")) from None
        if first["type"] == "unexpected_keyword_argument":
            known = list(kind.__dataclass_fields__)
            likely = did_you_mean(key, known, f"expected one of {', '.join(known)}")
            raise InputError(f"hydra.sweeper.engine has no {key}: {likely}") from None
        raise InputError(f"hydra.sweeper.engine.{key}: {first['msg']}; got {first['input']!r:.80}") from None


def cpus_per_trial(engine: Mapping[str, Any]) -> int:
    """Return the CPUs of a worker, at least 1. Errors: InputError."""
    return max(1, int(remote_settings(engine).cpus_per_trial))


def engine_of(
    engine: Mapping[str, Any] | None,
    folder: Path,
    n_workers: int,
    start_method: str,
    preload: tuple[str, ...],
    warm_up: Callable[[], None] | None,
) -> Engine:
    """Return the engine of a sweep in `folder`, which nothing waits for yet; close it. Errors: InputError."""
    if engine is None:
        return LocalEngine(start_method, preload, warm_up)
    from runback.sweeping.trials.remote.on_ray.sent_environment import sent_environment
    from runback.sweeping.trials.remote.remote_engine import RemoteEngine

    workers = _workers(engine["name"], remote_settings(engine))
    folder.mkdir(parents=True, exist_ok=True)
    variables = sent_environment() if engine["name"] == "ray" else {}  # SLURM sends them itself
    return RemoteEngine(workers, folder, n_workers, preload, warm_up, variables)


def _settings_of(name: str) -> Any:
    if name == "ray":
        from runback.sweeping.trials.remote.on_ray.ray_settings import RaySettings

        return RaySettings
    from runback.sweeping.trials.remote.slurm_jobs import SlurmSettings

    return SlurmSettings


def _workers(name: str, settings: Any) -> Workers:
    if name == "ray":
        from runback.sweeping.trials.remote.on_ray.ray_workers import RayWorkers

        return RayWorkers(settings)
    from runback.sweeping.trials.remote.slurm_workers import SlurmWorkers

    return SlurmWorkers(settings)
