"""A run's record, params and tags, whatever it trains."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runback.provenance.config_hash import text_hash
from runback.runs.live.frameworks import keras_backend
from runback.runs.live.record_files import config_yaml
from runback.runs.live.recorded_code import RecordedCode, machine
from runback.runs.live.run_data import Fingerprint
from runback.runs.live.run_spec import RunSpec
from runback.runs.schema import RECORD_FORMAT, RunRecord, is_classifiers
from runback.system.config.flattening import flatten
from runback.tracking.tags import (
    COMMIT_TAG,
    CONFIG_HASH_TAG,
    DATA_HASH_TAGS,
    DEVICE_TAG,
    DIRTY_TAG,
    KIND_TAG,
    SWEEP_TAG,
    TASK_TAG,
)

if TYPE_CHECKING:
    from runback.sweeping.trials.trial import Trial


def task_record(
    spec: RunSpec,
    task: Mapping[str, str],
    data: Sequence[Fingerprint],
    code: RecordedCode,
    facts: Mapping[str, Any],
) -> RunRecord:
    """Return the record of a task's run: enough to train it again, and to explain another result.

    `facts` are the task's own, in the place of others or besides them.
    """
    here = machine()
    return {
        "format": RECORD_FORMAT,
        "task": dict(task),
        "code": code.as_dict(),
        **here,  # type: ignore[typeddict-item]
        "environment": {**here["environment"], **keras_backend()},
        "threads": {"training": spec.threads},
        "seeds": {"seed": spec.seed},
        "data": {one.name: one.as_dict() for one in data},  # type: ignore[misc]
        "choices": dict(spec.choices),
        "config_sha256": text_hash(config_yaml(_experiment(spec))),
        "variables": spec.written.environment,
        "secrets": spec.written.left_out,
        **facts,  # type: ignore[typeddict-item]
    }


def _experiment(spec: RunSpec) -> dict[str, Any]:
    """Return the config without the keys that leave the experiment the same, and what repeats others."""
    repeated = [f"run.{key}" for key in spec.references]
    return without(
        spec.written.tree,
        [*spec.immaterial, *repeated, "run.threads", "run.experiment", spec.references.get("threads", "")],
    )


def without(tree: Mapping[str, Any], keys: Sequence[str], prefix: str = "") -> dict[str, Any]:
    """Return a config without the parts at these dotted keys, and without what is empty then."""
    found = {}
    for key, value in tree.items():
        if f"{prefix}{key}" in keys:
            continue
        if isinstance(value, Mapping) and value:
            value = without(value, keys, f"{prefix}{key}.")
            if not value:
                continue
        found[key] = value
    return found


def config_params(spec: RunSpec) -> dict[str, object]:
    """Return a run's params: choices by group, and scalars of the config by dotted key."""
    params: dict[str, object] = {f"{group}.name": name for group, name in spec.choices.items()}
    repeated = [f"run.{key}" for key in spec.references]
    place = spec.references.get("experiment", "run.experiment")
    scalars = flatten(
        without(spec.written.tree, [*spec.immaterial, *repeated, place]), skip=("_target_", "layers")
    )
    return params | {key: value for key, value in scalars if not isinstance(value, Mapping)}


def record_tags(spec: RunSpec, record: RunRecord, trial: "Trial | None") -> dict[str, str]:
    """Return the tags of a training's run."""
    code = record["code"]
    tags = {
        KIND_TAG: "train",
        CONFIG_HASH_TAG: record["config_sha256"],
        DIRTY_TAG: str(code["dirty"]).lower(),
        **{f"{DATA_HASH_TAGS}{name}": one["sha256"] for name, one in record["data"].items()},
        **spec.layout.folder_tags(spec.folder),
    }
    if not is_classifiers(record):
        tags[TASK_TAG] = record["task"].get("name", "")
    if code["commit"]:
        tags["mlflow.source.git.commit"] = tags[COMMIT_TAG] = code["commit"]
    if trial is not None:
        tags |= {SWEEP_TAG: trial.sweep, **trial.label.tags}
        tags[DEVICE_TAG] = "CPU" if trial.device is None else f"GPU {trial.device}"
    return tags
