"""A run's record, params and tags, whatever it trains."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runback.provenance.config_hash import text_hash
from runback.runs.live.record_files import config_yaml
from runback.runs.live.recorded_code import RecordedCode, machine
from runback.runs.live.run_data import Fingerprint
from runback.runs.live.run_spec import RunSpec
from runback.runs.schema import RECORD_FORMAT, RunRecord
from runback.system.config.flattening import flatten
from runback.tracking.tags import (
    COMMIT_TAG,
    CONFIG_HASH_TAG,
    DEVICE_TAG,
    DIRTY_TAG,
    KIND_TAG,
    SWEEP_TAG,
    TASK_TAG,
)

if TYPE_CHECKING:
    from runback.sweeping.trials.trial import Trial

SAME_EXPERIMENT = ("threads", "experiment")
"""Keys of a config's `run` that leave the experiment the same."""


def task_record(
    spec: RunSpec, task: Mapping[str, str], data: Sequence[Fingerprint], code: RecordedCode
) -> RunRecord:
    """Return the record of a task's run: enough to train it again, and to explain another result."""
    run = {key: value for key, value in spec.written.tree["run"].items() if key not in SAME_EXPERIMENT}
    return {
        "format": RECORD_FORMAT,
        "task": dict(task),
        "code": code.as_dict(),
        **machine(),  # type: ignore[typeddict-item]
        "threads": {"training": spec.threads},
        "seeds": {"seed": spec.seed},
        "data": {one.name: one.as_dict() for one in data},  # type: ignore[misc]
        "choices": dict(spec.choices),
        "config_sha256": text_hash(config_yaml({**spec.written.tree, "run": run})),
        "variables": spec.written.environment,
        "secrets": spec.written.left_out,
    }


def config_params(spec: RunSpec) -> dict[str, object]:
    """Return a run's params: choices by group, and scalars of the config by dotted key."""
    params: dict[str, object] = {f"{group}.name": name for group, name in spec.choices.items()}
    config = {**spec.written.tree, "run": {**spec.written.tree["run"]}}
    config["run"].pop("experiment", None)
    scalars = flatten(config, skip=("_target_",))
    return params | {key: value for key, value in scalars if not isinstance(value, Mapping)}


def record_tags(spec: RunSpec, record: RunRecord, trial: "Trial | None") -> dict[str, str]:
    """Return the tags of a training's run."""
    code = record["code"]
    tags = {
        KIND_TAG: "train",
        TASK_TAG: record["task"].get("name", ""),
        CONFIG_HASH_TAG: record["config_sha256"],
        DIRTY_TAG: str(code["dirty"]).lower(),
        **spec.layout.folder_tags(spec.folder),
    }
    if code["commit"]:
        tags["mlflow.source.git.commit"] = tags[COMMIT_TAG] = code["commit"]
    if trial is not None:
        tags |= {SWEEP_TAG: trial.sweep, **trial.label.tags}
        tags[DEVICE_TAG] = "CPU" if trial.device is None else f"GPU {trial.device}"
    return tags
