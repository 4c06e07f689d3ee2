"""Reads a lock file of uv: the packages it would install, and their sources."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runback.errors import InputError

MAX_BYTES = 4 * 2**20
"""A lock file of 200 packages has half a megabyte."""

USUAL = frozenset({"https://pypi.org/simple", "https://files.pythonhosted.org"})
"""The registry that uv asks where nobody names another, and the host of its files."""

LOCAL = ("directory", "editable", "virtual")
"""Sources that are folders of the project: they are built, unless they are only imported."""

_ADDRESS = re.compile(r"(https?://[a-z0-9.-]+(?::[0-9]{1,5})?)/[!-\[\]-~]*")
"""An address whose host is the same to every reader: no login, no backslash, nothing that cannot be seen."""

_TEXT = re.compile(rb'"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?')
"""A text within its line, or one that its line does not end."""

_LONG_KEY = re.compile(rb"(?:\.[^.\n]*){5}")
"""A key of more parts than a lock file has, once texts are left out; tomllib takes very long for those."""

_LONG_TEXT = re.compile(rb'"""|\'\'\'')
"""Opens a text of several lines, which uv does not write."""


@dataclass(frozen=True)
class LockedPackages:
    """The packages of a lock file: how many, the places they come from, and those to be treated with care.

    `elsewhere` has those whose source is no registry in use here, `unbuilt` those without any wheel: their
    build code runs when they are installed. Each is a name with its source.
    """

    count: int
    places: frozenset[str]
    elsewhere: tuple[str, ...] = ()
    unbuilt: tuple[str, ...] = ()


def read_lock(content: bytes, usual: frozenset[str] = USUAL) -> LockedPackages:
    """Return what a lock file would install; `usual` are the registries and hosts in use here.

    Raises InputError where it is no lock file.
    """
    packages = [_Package.of(one) for one in _packages(content)]
    found = [one for one in packages if one.source not in ({"editable": "."}, {"virtual": "."})]
    return LockedPackages(
        len(found),
        frozenset(place for one in found for place in one.places),
        tuple(f"{one.name} ({one.odd(usual)})" for one in found if one.odd(usual)),
        tuple(f"{one.name} ({one.origin})" for one in found if not one.wheels),
    )


@dataclass(frozen=True)
class _Package:
    name: str
    source: Mapping[str, Any]
    wheels: tuple[str, ...]
    sdist: str | None

    @classmethod
    def of(cls, facts: Any) -> "_Package":
        try:
            wheels = tuple(_address(wheel) for wheel in facts.get("wheels", []))
            sdist = _address(facts["sdist"]) if "sdist" in facts else None
            source = dict(facts["source"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError("uv.lock has a package of another form than uv writes") from error
        if isinstance(source.get("url"), str) and source["url"].endswith(".whl"):
            wheels = (source["url"], *wheels)
        return cls(str(facts.get("name")), source, wheels, sdist)

    @property
    def origin(self) -> str:
        """Its source, for a person."""
        return " ".join(f"{kind} {place}" for kind, place in self.source.items())

    @property
    def places(self) -> Iterator[str]:
        """The registry, and the hosts of its files; a file on this machine has none, and is told of whole."""
        if self.source.keys() == {"registry"}:
            yield str(self.source["registry"])
        else:
            yield self.origin
        yield from (_place(address) for address in (*self.wheels, *filter(None, [self.sdist])))

    def odd(self, usual: frozenset[str]) -> str | None:
        """Return the first place it comes from that is not in use here."""
        return next((place for place in self.places if place not in usual), None)


def _packages(content: bytes) -> list[Any]:
    if len(content) > MAX_BYTES:
        raise InputError(f"uv.lock has {len(content):,} bytes; expected at most {MAX_BYTES:,}")
    try:
        found = None if _is_slow(content) else tomllib.loads(content.decode()).get("package", [])
    except (ValueError, RecursionError) as error:
        raise InputError("uv.lock is no lock file of uv: it is no TOML") from error
    if not isinstance(found, list):
        raise InputError("uv.lock is no lock file of uv: it lists no packages")
    return found


def _is_slow(content: bytes) -> bool:
    return bool(_LONG_TEXT.search(content) or _LONG_KEY.search(_TEXT.sub(b"", content)))


def _address(file: Mapping[str, Any]) -> str:
    """Return where a package's file is; one that has only a name is beside the others of its registry."""
    return " or ".join(str(file[key]) for key in ("url", "path") if key in file)


def _place(address: str) -> str:
    """Return a file's scheme, host and port; the whole address where another reader may see another host."""
    found = _ADDRESS.fullmatch(address)
    return found[1] if found else f"the file {address}"
