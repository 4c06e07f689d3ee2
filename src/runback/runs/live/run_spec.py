"""A training to do, as every task has one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runback.system.config.written_config import WrittenConfig
from runback.tracking.layout import Layout


@dataclass(frozen=True)
class RunSpec:
    """One training to do: its config, resolved once, where that came from, and where it writes."""

    name: str
    """The run's, for a person."""
    config: Mapping[str, Any]
    """Every key's value: to be used, and never to be written."""
    written: WrittenConfig
    """The config as it is written, with the number of threads."""
    threads: int
    """The CPU threads that it trains with."""
    choices: Mapping[str, str]
    """The names of the files chosen in the config's groups."""
    overrides: Sequence[str]
    folder: Path
    """It has what goes on with the run, and what the store has not taken yet."""
    layout: Layout
    references: Mapping[str, str]
    """The app's own keys that keys of `run` are references to: `seed` for run.seed, for instance."""
    immaterial: Sequence[str] = ()
    """Dotted keys of the config that change nothing of the result, as how often a checkpoint is made."""
    output: Path | None = None
    """The folder of its output; None: the same."""

    @property
    def seed(self) -> int:
        """The seed of all that is random in it."""
        return int(self.config["run"]["seed"])

    @property
    def experiment(self) -> str:
        """The name of its experiment in MLflow."""
        return str(self.config["run"]["experiment"])
