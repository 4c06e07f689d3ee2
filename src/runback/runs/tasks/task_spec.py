"""The training that a task's config describes, composed now or recorded before."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from runback.errors import InputError
from runback.runs.live.run_spec import RunSpec
from runback.runs.schema import CONFIG
from runback.runs.stored_run import StoredRun
from runback.system.config.written_config import refuse_left_out, resolved, written
from runback.system.cores import available_cores
from runback.tracking.layout import Layout, folder_name


def task_spec(
    cfg: DictConfig,
    *,
    share: int,
    name: str,
    choices: Mapping[str, str],
    overrides: Sequence[str],
    folder: Path,
    layout: Layout,
    output: Path | None = None,
) -> RunSpec:
    """Return the training by this config; `share` are its CPU threads where that names none.

    Errors: InputError for what cannot be resolved, and for values that no run can have.
    """
    config = resolved(cfg)
    run = config.get("run")
    if not isinstance(run, dict) or not {"seed", "threads", "experiment"} <= set(run):
        raise InputError("the config must have run.seed, run.threads and run.experiment")
    threads = share if run["threads"] is None else int(run["threads"])
    _check(run, threads)
    composed = written(cfg)
    composed.tree["run"]["threads"] = threads
    return RunSpec(
        name=name,
        config=config,
        written=composed,
        threads=threads,
        choices=choices,
        overrides=overrides,
        folder=folder,
        layout=layout,
        output=output,
    )


def recorded_task_spec(
    recorded: StoredRun, folder: Path, name: str, layout: Layout, threads: int | None = None
) -> RunSpec:
    """Return the training of a task's run as one to do again: as `name`, writing into `folder`.

    It has as many CPU threads as the run had, or `threads`. Errors: InputError.
    """
    config = recorded.config.copy()
    refuse_left_out(OmegaConf.to_container(config))  # type: ignore[arg-type]
    if threads is not None:
        if OmegaConf.select(config, "run") is None:
            raise InputError(f"{CONFIG} of run {recorded.id} cannot be used: it has no run.threads")
        config.run.threads = threads
    return task_spec(
        config,
        share=available_cores(),
        name=name,
        choices=recorded.record["choices"],
        overrides=recorded.overrides,
        folder=folder,
        layout=layout,
    )


def _check(run: Mapping[str, Any], threads: int) -> None:
    seed = run["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise InputError(f"run.seed must be a whole number in [0, 4294967295]; got {seed!r:.100}")
    if threads < 1:
        raise InputError(f"run.threads must be at least 1; got {threads}")
    folder_name(str(run["experiment"]), "run.experiment")
