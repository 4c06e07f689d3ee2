"""Whether a training that was done again gave the same result, and if not, where it first differs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runback.errors import InputError
from runback.provenance.comparing.difference import Difference
from runback.provenance.comparing.missing_seeds import missing_seeds
from runback.statistics.wilson_interval import wilson
from runback.system.text.listing import first_lines

IDENTICAL = "bit-identical"
WITHIN = "within tolerance"
DIFFERENT = "different"

ANOTHER_EXPERIMENT = ("data", "weights", "config", "seeds", "code")
"""Parts of a record in which a difference makes the training another one, of which no band says anything."""

BANDED = "val_accuracy"
"""The metric that is allowed to be off: the one whose noise is known from the number of images."""

FIRST = ("learning_rate", "loss", "accuracy", "val_loss")
"""Metrics of an epoch in the order in which they are made: the first to differ is nearest to the cause."""

SHOWN = 5
"""Causes that an explanation names."""


@dataclass(frozen=True)
class Band:
    """The band that a metric may lie in: `low` to `high` around `then`, and whether `now` is inside."""

    metric: str
    then: float
    low: float
    high: float
    now: float | None
    inside: bool


@dataclass(frozen=True)
class Verdict:
    """The verdict on two results.

    `compared` says what was, and what could not be; `first_epoch` (from 1), `first_metric`, `then` and `now`
    are the first metric that differs, `first_tensor` the first weight that does. `bands` and `rule` (how
    they were drawn) are empty for equal results; `causes` are the differences that may explain other ones.
    """

    name: str
    compared: tuple[str, ...]
    first_epoch: int | None = None
    first_metric: str | None = None
    then: float | None = None
    now: float | None = None
    first_tensor: str | None = None
    predictions_differ: bool = False
    bands: tuple[Band, ...] = ()
    rule: str = ""
    causes: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()
    """What the training lacks to come out the same; empty where the causes may be others."""

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 0 for a result that is the same, 1 for a different one."""
        return 1 if self.name == DIFFERENT else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON has it; its name is `verdict`."""
        facts = asdict(self)
        return {"verdict": facts.pop("name"), "exit_code": self.exit_code, **facts}

    def explain(self) -> list[str]:
        """Return what a person wants to know, line by line."""
        lines = [f"{self.name}: compared {', '.join(self.compared)}"]
        if self.first_epoch is not None:
            lines.append(
                f"first difference: epoch {self.first_epoch}, {self.first_metric}: "
                f"{_number(self.then)} then, {_number(self.now)} now"
            )
        if self.first_tensor is not None:
            lines.append(f"first tensor that differs: {self.first_tensor}")
        if self.predictions_differ:
            lines.append("the validation predictions differ")
        lines += [_band_line(band, self.rule) for band in self.bands]
        return lines if self.name == IDENTICAL else [*lines, *_cause_lines(self.causes), *self.missing]


def judge(
    then: Mapping[str, Any],
    now: Mapping[str, Any],
    differences: Sequence[Difference],
    n_validation: int,
    tolerance: float | None = None,
) -> Verdict:
    """Compare the results `then` and `now` (as in a run's result.json).

    Bit-identical: as many epochs, every metric of each equal (NaN equals NaN), and the same weights and
    predictions, as far as `then` has them. Otherwise within tolerance, if some of the `differences` is
    numeric, none makes it another experiment, and the last val_accuracy lies in its band: the recorded one
    give or take `tolerance` (in [0, 1]), or by default the interval that the recorded one's own noise on
    `n_validation` images leaves open. Otherwise different. Raises InputError where there is nothing to
    compare.
    """
    if not then.get("epochs"):
        raise InputError("the recorded run completed no epoch: there is no result to compare with")
    if tolerance is not None and not 0 <= tolerance <= 1:
        raise InputError(f"tolerance must lie in [0, 1]; got {tolerance}")
    compared = _compared(then, now)
    metric = _first_metric(then["epochs"], now.get("epochs") or [])
    tensor = _first_tensor(then.get("weights"), now.get("weights"))
    predictions_differ = then.get("predictions") not in (None, now.get("predictions"))
    if metric is None and tensor is None and not predictions_differ:
        return Verdict(IDENTICAL, compared)
    bands = _bands(then["epochs"][-1], now.get("epochs") or [], n_validation, tolerance)
    is_explained = any(one.numeric for one in differences) and not any(
        one.part in ANOTHER_EXPERIMENT for one in differences
    )
    is_within = is_explained and bool(bands) and all(band.inside for band in bands)
    epoch, name, before, after = metric or (None, None, None, None)
    return Verdict(
        name=WITHIN if is_within else DIFFERENT,
        compared=compared,
        first_epoch=epoch,
        first_metric=name,
        then=before,
        now=after,
        first_tensor=tensor,
        predictions_differ=predictions_differ,
        bands=bands,
        rule=f"95 % Wilson interval, n = {n_validation:,}" if tolerance is None else f"± {tolerance:g}",
        causes=_causes(differences),
        missing=() if _likely(differences) else tuple(missing_seeds(then, now)),
    )


def _compared(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    epochs = then["epochs"]
    first, last = epochs[0]["epoch"], epochs[-1]["epoch"]
    span = f"epoch {first}" if first == last else f"epochs {first} to {last}"
    metrics = f"{len(epochs[-1]['metrics'])} metrics of {span}"
    weights = then.get("weights")
    tensors = "weights" if weights is None else f"{len(weights)} tensors"
    return (
        metrics,
        tensors + _unrecorded(weights, now.get("weights")),
        "predictions" + _unrecorded(then.get("predictions"), now.get("predictions")),
    )


def _unrecorded(then: object, now: object) -> str:
    if then is None:
        return " (not recorded, so not compared)"
    return " (missing from the new run)" if now is None else ""


def _first_metric(
    then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> tuple[int, str, float | None, float | None] | None:
    """Return the epoch, name and two values of the first metric that differs; None where all are equal.

    A metric that only the new run has is no difference, but an epoch that only one of them has is.
    """
    before, after = ({one["epoch"]: one["metrics"] for one in epochs} for epochs in (then, now))
    for epoch in sorted({*before, *after}):
        a, b = before.get(epoch, {}), after.get(epoch, {})
        for name in sorted(a or b, key=_rank):
            if not _equal(a.get(name), b.get(name)):
                return epoch, name, a.get(name), b.get(name)
    return None


def _rank(metric: str) -> int:
    return FIRST.index(metric) if metric in FIRST else len(FIRST)


def _equal(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return then is now
    return then == now or (math.isnan(then) and math.isnan(now))


def _first_tensor(then: Mapping[str, str] | None, now: Mapping[str, str] | None) -> str | None:
    if then is None:
        return None
    found = now or {}
    return next((name for name in [*then, *found] if then.get(name) != found.get(name)), None)


def _bands(
    then: Mapping[str, Any], now: Sequence[Mapping[str, Any]], n: int, tolerance: float | None
) -> tuple[Band, ...]:
    """Return the band around the recorded run's last val_accuracy; none where it has no such number."""
    before = then["metrics"].get(BANDED)
    if before is None or not 0 <= before <= 1 or n < 1:
        return ()
    low, high = wilson(before * n, n) if tolerance is None else (before - tolerance, before + tolerance)
    after = next((one["metrics"].get(BANDED) for one in now if one["epoch"] == then["epoch"]), None)
    return (Band(BANDED, before, low, high, after, after is not None and low <= after <= high),)


def _causes(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return the differences that are known to change results; where there are none, all there are."""
    return tuple(_likely(differences) or differences)


def _likely(differences: Sequence[Difference]) -> list[Difference]:
    return [one for one in differences if one.numeric or one.part in ANOTHER_EXPERIMENT]


def _band_line(band: Band, rule: str) -> str:
    where = "inside" if band.inside else "outside"
    return (
        f"{band.metric} after the last epoch: {_number(band.now)} now, {where} {band.low:.4f} to "
        f"{band.high:.4f} (recorded {_number(band.then)}, {rule})"
    )


def _cause_lines(causes: Sequence[Difference]) -> list[str]:
    if not causes:
        return ["nothing differs in what both have recorded of data, config, code, machine and packages"]
    lines = [f"may explain it: {one.what}: {one.then} then, {one.now} now" for one in causes]
    return first_lines(lines, SHOWN, "differences")


def _number(value: float | None) -> str:
    return "missing" if value is None else repr(value)
