"""The results of runs: metrics of the epoch whose weights each run has, with their intervals."""

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from runback.comparison.columns import curve_columns, whole
from runback.runs.objectives import higher_is_better, recorded_objectives
from runback.statistics.wilson_interval import wilson
from runback.tracking.metric_names import BEST_EPOCH, best
from runback.tracking.read.rows import SYSTEM, Runs
from runback.tracking.read.run_reader import Reader
from runback.tracking.tags import TEST_IMAGES_TAG


def results(reader: Reader, runs: Runs) -> pd.DataFrame:
    """Return `epoch` and each metric, a row a run.

    They are the last epoch's; of a run that finished with patience those of its best, whose weights it has.
    Only runs that have finished have `best_epoch` and `best_<objective>`, which are of the kept weights too.
    An accuracy on a known number of images has its 95 % Wilson interval behind it, `<name>_low` and
    `<name>_high`.
    """
    names = [name for name in sorted(runs.metrics) if not name.startswith(SYSTEM)]
    metrics = {name: pd.Series(runs.metrics[name], dtype="float64") for name in names}
    found = pd.DataFrame({"epoch": whole(runs.epochs), **metrics})
    if BEST_EPOCH in found:
        found[BEST_EPOCH] = found[BEST_EPOCH].astype("Int64")
    _use_kept_epochs(found, reader, runs)
    for name, images in _measured_on(runs).items():
        if name in found:
            _add_interval(found, name, images)
    return found


def _use_kept_epochs(found: pd.DataFrame, reader: Reader, runs: Runs) -> None:
    patience = zip(runs.param("training.patience"), runs.statuses, strict=True)
    patient = [
        position
        for position, (epochs, status) in enumerate(patience)
        if epochs not in (None, "None") and status == "FINISHED"
    ]
    if not patient:
        return
    curves = curve_columns(reader.curves([runs.ids[position] for position in patient]), patient)
    objectives = runs.param("training.objective")
    alike: dict[str, list[int]] = defaultdict(list)
    for position in patient:
        alike[recorded_objectives(objectives[position])[0]].append(position)
    for objective, positions in alike.items():
        best = _best(curves[curves["run"].isin(positions)], objective).set_index("run")
        found.loc[best.index, list(best)] = best


def _best(curves: pd.DataFrame, objective: str) -> pd.DataFrame:
    """Return the best epoch of each run, the first of equal ones, as Keras' EarlyStopping does."""
    ranked = curves[objective].dropna() * (1 if higher_is_better(objective) else -1)
    return curves.loc[ranked.groupby(curves["run"]).idxmax()]


def _measured_on(runs: Runs) -> dict[str, list[str | None]]:
    """Return which accuracies are shares of how many images."""
    n_validation = runs.param("data.n_validation")
    return {
        "val_accuracy": n_validation,
        best("val_accuracy"): n_validation,
        "test_accuracy": runs.tag(TEST_IMAGES_TAG),
    }


def _add_interval(found: pd.DataFrame, name: str, images: Sequence[str | None]) -> None:
    ends = [_interval(share, n) for share, n in zip(found[name], images, strict=True)]
    place = list(found).index(name) + 1
    for end, values in zip(("high", "low"), (map(max, ends), map(min, ends)), strict=True):
        found.insert(place, f"{name}_{end}", pd.Series(list(values), dtype="float64"))


def _interval(share: float, images: str | None) -> tuple[float, float]:
    if images is None or not images.isdecimal() or int(images) < 1 or not 0 <= share <= 1:
        return float("nan"), float("nan")
    return wilson(round(share * int(images)), int(images))
