"""The training that a task's config describes, composed now or recorded before."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from runback.errors import InputError
from runback.runs.live.run_record import config_params
from runback.runs.live.run_spec import RunSpec
from runback.runs.schema import CONFIG
from runback.runs.stored_run import StoredRun
from runback.system.config.written_config import refuse_environment, refuse_left_out, resolved, written
from runback.system.cores import available_cores
from runback.tracking.layout import Layout, folder_name
from runback.tracking.mlflow_limits import refuse_param_names

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
"""A value that is another key's."""


def task_spec(
    cfg: DictConfig,
    *,
    share: int,
    name: str,
    choices: Mapping[str, str],
    overrides: Sequence[str],
    folder: Path,
    layout: Layout,
    immaterial: Sequence[str] = (),
    output: Path | None = None,
) -> RunSpec:
    """Return the training by this config; `share` are its CPU threads where that names none.

    Errors: InputError for what cannot be resolved, and for values that no run can have.
    """
    config = resolved(cfg)
    run = config.get("run")
    if not isinstance(run, dict) or not {"seed", "threads", "experiment"} <= set(run):
        raise InputError("the config must have run.seed, run.threads and run.experiment")
    references = _references(cfg)
    threads = share if run["threads"] is None else int(run["threads"])
    _check(run, threads, references)
    refuse_left_out(config)
    composed = written(cfg)
    for key in ("run.threads", *([references["threads"]] if "threads" in references else [])):
        _set(composed.tree, key, threads)
    refuse_environment(composed)
    folder_name(str(run["experiment"]), references.get("experiment", "run.experiment"))
    spec = RunSpec(
        name=name,
        config=config,
        written=composed,
        threads=threads,
        choices=choices,
        overrides=overrides,
        folder=folder,
        layout=layout,
        references=references,
        immaterial=immaterial,
        output=output,
    )
    refuse_param_names(config_params(spec))
    return spec


def _references(cfg: DictConfig) -> dict[str, str]:
    """Return the keys that keys of `run` are references to."""
    raw: dict[str, Any] = OmegaConf.to_container(cfg.run)  # type: ignore[assignment]
    matches = {key: REFERENCE.fullmatch(str(value)) for key, value in raw.items()}
    return {key: match[1] for key, match in matches.items() if match}


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, name = key.split(".")
    for parent in parents:
        tree = tree[parent]
    tree[name] = value


def recorded_task_spec(
    recorded: StoredRun,
    config: DictConfig,
    folder: Path,
    name: str,
    layout: Layout,
    threads: int | None = None,
    immaterial: Sequence[str] = (),
) -> RunSpec:
    """Return the training of a task's run as one to do again: as `name`, writing into `folder`.

    `config` is its recorded one, as the task has it now. It has as many CPU threads as the run had, or
    `threads`. Errors: InputError.
    """
    refuse_left_out(OmegaConf.to_container(config))  # type: ignore[arg-type]
    if threads is not None:
        if OmegaConf.select(config, "run") is None:
            raise InputError(f"{CONFIG} of run {recorded.id} cannot be used: it has no run.threads")
        OmegaConf.update(config, _references(config).get("threads", "run.threads"), threads)
    return task_spec(
        config,
        share=available_cores(),
        name=name,
        choices=recorded.record["choices"],
        overrides=recorded.overrides,
        folder=folder,
        layout=layout,
        immaterial=immaterial,
    )


def _check(run: Mapping[str, Any], threads: int, references: Mapping[str, str]) -> None:
    seed, key = run["seed"], references.get("seed", "run.seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise InputError(f"{key} must be a whole number; got {seed!r:.100}")
    if not 0 <= seed < 2**32:
        raise InputError(f"{key} must lie in [0, 4294967295]; got {seed}")
    if threads < 1:
        raise InputError(f"{references.get('threads', 'run.threads')} must be at least 1; got {threads}")
