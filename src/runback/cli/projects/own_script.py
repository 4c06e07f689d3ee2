"""A script that a project is made around: the one that a person has, or an example of one."""

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runback.cli.projects.first_space import FirstSpace
from runback.cli.projects.templates_folder import template
from runback.errors import InputError
from runback.runs.tasks.task import Task
from runback.runs.tasks.task_source import TaskSource

NAME = re.compile(r"(?P<file>.*?\.py)(?::(?P<task>\w+))?", re.DOTALL)
PLAIN = re.compile(r"\w[\w .+-]*\.py")
"""A file's name that make and a shell take in quotes as it is."""


@dataclass(frozen=True)
class OwnScript:
    """A script with one task, as it is in the project, and what is known about that."""

    name: str
    """The file's name."""
    task: Task
    is_named: bool
    """Whether the task was asked for by its name."""
    is_found: bool
    """Whether the script was there."""
    files: Mapping[Path, bytes]
    """The files that it needs, by their paths in the project; its own is among them."""
    space: FirstSpace

    @property
    def reference(self) -> str:
        """The words by which commands find the task."""
        return f"{self.name}:{self.task.name}" if self.is_named else self.name

    @property
    def beside(self) -> list[Path]:
        """The files besides its own."""
        return [path for path in self.files if path != Path(self.name)]

    @property
    def short(self) -> list[str]:
        """The overrides that make a training short; none where no parameter is called epochs."""
        if "epochs" not in self.task.parameters.types:
            return []
        try:
            self.task.parameters.arguments({**self.space.defaults, "epochs": 1})
        except InputError:
            return []
        return ["epochs=1"]

    @classmethod
    @contextmanager
    def of(cls, reference: str) -> Iterator["OwnScript"]:
        """Give the script that FILE or FILE:TASK names; one that is not there is an example.

        Its file is imported. Errors: InputError for a name that is no script's, and for a script whose task
        cannot be swept as it is.
        """
        match = NAME.fullmatch(reference)
        if match is None or not PLAIN.fullmatch(Path(match["file"]).name):
            raise InputError(
                "--script must be a Python file of a plain name, as train.py, or FILE:TASK; got "
                f"{reference!a:.200}"
            )
        file = Path(match["file"])
        if file.is_file():
            yield cls._loaded(file, match["task"], is_found=True)
            return
        if len(file.parts) > 1 or file.is_absolute() or match["task"] or file.exists():
            raise InputError(f"there is no script {reference!a:.200}")
        if file.stem in sys.stdlib_module_names or _is_module(file.stem):
            raise InputError(f"a script {file.name} would hide the module {file.stem}: choose another name")
        with tempfile.TemporaryDirectory() as folder:
            example = Path(folder, file.name)
            example.write_bytes(template("script/train.py").replace("@SCRIPT@", file.name).encode())
            yield cls._loaded(example, None, is_found=False)

    @classmethod
    def _loaded(cls, file: Path, name: str | None, *, is_found: bool) -> "OwnScript":
        before = set(sys.modules)
        task = _import(file, name)
        if not task.objectives:
            raise InputError(
                f"{file.name}: nothing says whether a higher value is better: write return "
                "run.best('val_loss'), or @runback.task(objective='val_loss')"
            )
        folder = file.absolute().parent
        paths = [file.absolute(), *_imported(folder, before), *_conf(folder)]
        try:
            files = {path.relative_to(folder): path.read_bytes() for path in paths}
        except OSError as error:
            raise InputError(f"cannot read {error.filename!a:.300}: {error.strerror}") from error
        space = FirstSpace.of(task, has_conf=(folder / "conf").is_dir())
        return cls(file.name, task, name is not None, is_found, files, space)


def _import(file: Path, name: str | None) -> Task:
    """Return a script's task. Errors: InputError also for whatever its import raises."""
    try:
        task = TaskSource.named(f"{file}:{name}" if name else str(file)).load()
        _ = task.parameters, task.objectives
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        kind, text = type(error).__name__, " ".join(str(error).split())
        raise InputError(f"cannot import {file.name}: {kind}: {text:.300}") from error
    return task


def _imported(folder: Path, before: set[str]) -> list[Path]:
    """Return the modules of a script's folder that its import has imported, too."""
    files = {
        Path(str(getattr(module, "__file__", None) or ""))
        for name, module in list(sys.modules.items())
        if name not in before
    }
    installed = (Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())
    return sorted(
        file
        for file in files
        if file.suffix == ".py"
        and file.is_relative_to(folder)
        and "site-packages" not in file.parts
        and not any(file.resolve().is_relative_to(one) for one in installed)
    )


def _conf(folder: Path) -> list[Path]:
    """Return the config files beside a script."""
    return sorted(path for path in (folder / "conf").rglob("*.yaml") if path.is_file())


def _is_module(name: str) -> bool:
    from importlib.util import find_spec

    found: Any = None if not name.isidentifier() else find_spec(name)
    return found is not None and found.origin is not None
