"""Says which of two things a training lacks that came out differently: seeds, or an order of its data."""

from collections.abc import Mapping, Sequence
from typing import Any

from runback.system.text.listing import listed

Trace = Mapping[str, Mapping[str, str]]

GENERATORS = ("Python", "NumPy", "PyTorch")

ARRAYS = "ArrayDataAdapter"
"""What Keras gives arrays to `fit` by: it makes their order itself, from the seed."""

SHOWN = 3


def missing_seeds(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what a training lacks whose two results differ although nothing that it is made from does.

    Both results have a trace of what stood how before the first epoch and at the end; what is told follows
    from it, and where it leaves both open that is said. Nothing is told of results without one.
    """
    before, after = then.get("trace") or {}, now.get("trace") or {}
    if not before or not after:
        return []
    return [*_unseeded(after), *_first(before, after)]


def _unseeded(trace: Trace) -> list[str]:
    places = list(trace.get("unseeded", {}))
    if not places:
        return []
    return [
        f"seeds are missing: {listed(places, SHOWN)} makes a generator without a seed; write "
        "np.random.default_rng(run.seed)"
    ]


def _first(before: Trace, after: Trace) -> list[str]:
    """Return what the first thing that differs says."""
    begin = _differing(before, after, "begin")
    if others := [name for name in GENERATORS if name in begin]:
        return [
            f"seeds are missing: {_generators(others)} stood elsewhere before the first epoch: something "
            "seeds it in another way than the run, or draws a number of times that changes"
        ]
    if "variables" in begin:
        return [
            "seeds are missing: the model's variables were others before the first epoch, so they were made "
            "before the run, or from a seed of their own: build the model after the run has begun"
        ]
    if after.get("unseeded"):
        return []
    return _in_training(before, after)


def _in_training(before: Trace, after: Trace) -> list[str]:
    adapter = after.get("begin", {}).get("data", "")
    is_same = "the model's variables and " if "variables" in after.get("begin", {}) else ""
    if adapter and adapter != ARRAYS:
        return [
            f"order of data is missing: fit takes it from what makes its own ({adapter}), and {is_same}the "
            "generators were the same before the first epoch: make that order from run.seed"
        ]
    if others := [name for name in GENERATORS if name in _differing(before, after, "end")]:
        return [
            f"order of data is missing: {_generators(others)} was the same before the first epoch and not at "
            "the end: something draws from it a number of times that changes"
        ]
    return [
        f"seeds or order of data: which is missing cannot be told; {is_same}the generators of Python, NumPy "
        "and PyTorch were the same before the first epoch, so it is a generator of the script's own, an "
        "order of data that time decides, or an operation that is not deterministic"
    ]


def _differing(before: Trace, after: Trace, when: str) -> set[str]:
    """Return the names of what both tell of, differently."""
    then, now = before.get(when, {}), after.get(when, {})
    return {name for name in then if name in now and then[name] != now[name]}


def _generators(names: Sequence[str]) -> str:
    return f"the generator of {' and of '.join(names)}"
