"""Commands that know images and networks, and are for the classifier's runs alone."""

from collections.abc import Mapping

from runback.errors import InputError
from runback.tracking.tags import TASK_TAG


def refuse_task(tags: Mapping[str, str], run_id: str, verb: str) -> None:
    """Raise InputError for a run that is of another task than the classifier, by its tags."""
    if TASK_TAG in tags:
        raise InputError(
            f"runback {verb} belongs to the classifier; run {run_id} is of {tags[TASK_TAG]!a:.100}: what "
            "that has logged is read by MLflow"
        )
