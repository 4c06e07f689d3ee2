"""Tells a sweep how many of its runs were tested, and what that does to its best score."""

from runback.statistics.best_of_many import optimism_of_best
from runback.tracking.read.find_runs import search_sweep
from runback.tracking.store import Store
from runback.tracking.tags import KIND_TAG, TEST_IMAGES_TAG, TEST_OPENED_TAG, TESTED_TAG
from runback.tracking.write.run_writer import RunWriter


def note_tested_runs(store: Store, sweep: str, run_id: str, accuracy: float, n: int) -> str:
    """Return a sentence on the runs of a sweep that were tested, this one among them; its run gets it as a
    tag.

    Empty where this is the only one. `accuracy` is on n test images. Errors: StoreError.
    """
    runs = search_sweep(store, sweep)
    opened = {TEST_OPENED_TAG, TEST_IMAGES_TAG}
    tested = {run.info.run_id for run in runs if opened & {*run.data.tags}} | {run_id}
    gain = optimism_of_best(len(tested), n, accuracy)
    if not gain:
        return ""
    said = (
        f"{len(tested)} runs of sweep {sweep} were tested: by chance alone the best of them looks "
        f"{gain:.4f} better than it is, on average where all are as good"
    )
    for run in runs:
        if run.data.tags.get(KIND_TAG) == "sweep":
            writer = RunWriter(store, run.info.run_id)
            writer.set_tags({TESTED_TAG: said})
            writer.deliver()
    return said
