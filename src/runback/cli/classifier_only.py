"""Commands that know images and networks, and are for the classifier's runs alone."""

from collections.abc import Mapping

from runback.errors import InputError
from runback.runs.schema import RECORD, RunRecord, is_classifiers
from runback.tracking.tags import TASK_TAG


def refuse_task(tags: Mapping[str, str], run_id: str, verb: str) -> None:
    """Raise InputError for a run that is of another task than the classifier, by its tags."""
    if TASK_TAG in tags:
        raise _refused(tags[TASK_TAG], run_id, verb)


def refuse_recorded_task(record: RunRecord, run_id: str, verb: str) -> None:
    """Raise InputError for a run that is of another task, by its record, or says of no images that it had."""
    if not is_classifiers(record):
        raise _refused(record["task"].get("name", ""), run_id, verb)
    for name in ("train", "validation"):
        if "kind" in record["data"].get(name, {"kind": "nothing"}):
            raise InputError(f"{RECORD} of run {run_id} cannot be used: data.{name} tells of no images")


def _refused(task: str, run_id: str, verb: str) -> InputError:
    return InputError(
        f"runback {verb} belongs to the classifier; run {run_id} is of {task!a:.100}: what that has logged "
        "is read by MLflow"
    )
