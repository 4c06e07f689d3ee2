"""Images/s of changed images beside those of `predict`: measured for benchmarks/evaluation.py."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import runback
from runback.classifier.data.parquet import load
from runback.classifier.evaluation.answers import predict_answers
from runback.classifier.evaluation.shifts.consistency import consistency
from runback.classifier.evaluation.shifts.corruption_accuracy import corruption_accuracy
from runback.classifier.evaluation.shifts.corruption_table import CORRUPTIONS, SEVERITIES
from runback.classifier.evaluation.shifts.translation import MOVES

CHANGED = 2_000
"""Images that are moved and corrupted, 91 times: as many as a repeat takes a minute for."""


def main() -> None:
    """Print images/s of plain, moved and corrupted images, a line for each repeat."""
    run, folder, repeats = sys.argv[1:]
    network = runback.load_model(run)
    test = load("test", cache=Path("mlruns/data"), path=Path(folder), image_column="img")
    images = np.asarray(test.images[:])
    changed = test.take(np.arange(min(CHANGED, len(test))))
    network.predict(images[:1000], verbose=0)  # its graph is made
    answers = predict_answers(network, changed)
    for _ in range(int(repeats)):
        plain = _timed(lambda: network.predict(images, batch_size=500, verbose=0))
        moved = _timed(lambda: consistency(network, answers, lambda: None))
        corrupted = _timed(lambda: corruption_accuracy(network, answers, lambda: None))
        print(
            len(images) / plain,
            len(changed) * len(MOVES) / moved,
            len(changed) * len(CORRUPTIONS) * len(SEVERITIES) / corrupted,
            flush=True,
        )


def _timed(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
