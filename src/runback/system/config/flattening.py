"""Flattens a nested config: its values by their dotted keys."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any


def flatten(
    tree: Any, *, skip: Collection[str] = (), branches: bool = False, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield each value of a nested config, a mapping, with its dotted key, in the config's order.

    An empty mapping is a value. Values whose own key is in `skip` are left out; `branches` yields each other
    mapping too, before what is in it. All keys begin with `prefix`.
    """
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            if branches:
                yield dotted, value
            yield from flatten(value, skip=skip, branches=branches, prefix=f"{dotted}.")
        elif key not in skip:
            yield dotted, value
