"""The result of one check."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from runback.errors import RunbackError

State = Literal["ok", "warning", "problem", "fixed"]


@dataclass(frozen=True)
class Check:
    """One line of a report."""

    name: str
    state: State
    found: str
    advice: str = ""
    """The remedy; empty: none is needed."""
    fix: Callable[[], str] | None = None
    """Mends it, and tells what it did; None: there is nothing that could be mended here."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            **{"check": self.name, "state": self.state, "found": self.found, "advice": self.advice},
            "fixable": self.fix is not None,
        }


def ok(name: str, found: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, "ok", found)


def mended(check: Check) -> Check:
    """Mend what a check found, if that can be done; return how it stands now."""
    if check.fix is None:
        return check
    try:
        return Check(check.name, "fixed", check.fix())
    except RunbackError as error:
        return replace(check, state="problem", found=f"{check.found}; not fixed: {error}", fix=None)
