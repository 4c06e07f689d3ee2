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

IMAGES = 2_000
"""Of the test split: as many as a repeat takes a minute for."""


def main() -> None:
    """Print images/s of plain, moved and corrupted images, a line for each repeat."""
    run, folder, repeats = sys.argv[1:]
    network = runback.load_model(run)
    test = load("test", cache=Path("mlruns/data"), path=Path(folder), image_column="img")
    test = test.take(np.arange(min(IMAGES, len(test))))
    images = np.asarray(test.images[:])
    network.predict(images[:1000], verbose=0)  # its graph is made
    answers = predict_answers(network, test)
    for _ in range(int(repeats)):
        seconds = (
            _timed(lambda: network.predict(images, batch_size=500, verbose=0)),
            _timed(lambda: consistency(network, answers, lambda: None)) / len(MOVES),
            _timed(lambda: corruption_accuracy(network, answers, lambda: None))
            / (len(CORRUPTIONS) * len(SEVERITIES)),
        )
        print(*(len(test) / one for one in seconds), flush=True)


def _timed(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
