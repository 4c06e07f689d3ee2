"""The program that this process runs: a script or a module, and the flags by which Hydra finds its config."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

VARIABLE = "RUNBACK_PROGRAM"
"""The environment variable by which a sweep tells its trials the program that began it."""

CONFIG_FLAGS = ("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd")
"""Hydra's flags that say where a config is; each takes a value."""


@dataclass(frozen=True)
class MainProgram:
    """A program that Python can start again."""

    script: str | None
    """The absolute path of a script; None: it is a module."""
    module: str | None
    flags: tuple[str, ...] = ()
    """Those of its command line that say where Hydra's config is."""

    @classmethod
    def here(cls) -> Self | None:
        """Return this process's program; None where it is a notebook or another interactive session."""
        main = sys.modules.get("__main__")
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        if spec is not None:
            return cls(None, str(spec.name).removesuffix(".__main__"), _flags(sys.argv[1:]))
        if file is None or not Path(file).is_file():
            return None
        return cls(str(Path(file).absolute()), None, _flags(sys.argv[1:]))

    @classmethod
    def of_sweep(cls) -> Self | None:
        """Return the program that began the sweep whose trial this process is; None: nobody has told it."""
        try:
            facts = json.loads(os.environ[VARIABLE])
            return cls(facts["script"], facts["module"], tuple(facts["flags"]))
        except (KeyError, ValueError, TypeError):
            return None

    def pass_on(self) -> None:
        """Let the trials of a sweep that this process begins know it."""
        facts = {"script": self.script, "module": self.module, "flags": list(self.flags)}
        os.environ[VARIABLE] = json.dumps(facts)

    @property
    def name(self) -> str:
        """Its name for a person: a script's without its ending, a module's last part."""
        return Path(self.script).stem if self.script else str(self.module).rpartition(".")[2]

    @property
    def words(self) -> list[str]:
        """The words by which a person starts it from the working directory."""
        if self.script is None:
            return ["python", "-m", str(self.module), *self.flags]
        path, here = Path(self.script), Path.cwd()
        return ["python", str(path.relative_to(here) if path.is_relative_to(here) else path), *self.flags]


def _flags(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the flags that say where Hydra's config is, with their values."""
    found: list[str] = []
    takes_value = False
    for one in arguments:
        if takes_value or one.partition("=")[0] in CONFIG_FLAGS:
            found.append(one)
        takes_value = not takes_value and one in CONFIG_FLAGS
    return tuple(found)
