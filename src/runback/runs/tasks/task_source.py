"""The place of a task's function: a script or a module, by which it is found again, or a notebook's cell."""

import contextlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Self

from runback.errors import InputError
from runback.runs import schema
from runback.runs.tasks.task import Task
from runback.system.files.contained_path import inside
from runback.system.text.listing import listed
from runback.tracking.layout import Layout

SCRIPT_MODULE = "__mp_main__"
"""The name of a script that is not the process's own main module, as multiprocessing gives it."""

NAMED = re.compile(r"[^=]+\.py(:\w+)?|[A-Za-z_][\w.]*:\w+|[A-Za-z_]\w*(\.\w+)+")
"""An argument that names a task: `train.py`, `train.py:NAME`, `package.module`, `package.module:NAME`."""

_loaded: dict["TaskSource", Task] = {}


@dataclass(frozen=True)
class TaskSource:
    """A task by its place and its name."""

    script: str | None
    """The absolute path of its script; None: it is in a module."""
    module: str | None
    name: str

    @classmethod
    def of(cls, task: Task) -> Self:
        """Return where a task is that this process has. Errors: InputError for one without a file."""
        name, module = task.name, task.module
        main = sys.modules.get("__main__")
        if module not in ("__main__", SCRIPT_MODULE):
            source = cls(None, module, name)
        elif getattr(main, "__spec__", None) is not None and main is not None:  # python -m
            source = cls(None, str(main.__spec__.name), name)  # type: ignore[union-attr]
        elif getattr(main, "__file__", None):
            source = cls(os.path.abspath(str(main.__file__)), None, name)  # type: ignore[union-attr] # noqa: PTH100
        else:
            raise InputError(
                f"task {name} is in no file: in a notebook call runback.sweep({name}, space={{…}})"
            )
        _loaded[source] = task
        return source

    @classmethod
    def named(cls, reference: str) -> Self:
        """Return the task that `train.py`, `train.py:NAME`, `package.module` or `package.module:NAME` names.

        Its file is imported. Errors: InputError where there is no such file, or not one such task in it.
        """
        place, _, name = reference.partition(":")
        script = str(Path(place).absolute()) if place.endswith(".py") else None
        module = _module(script, None if script else place)
        found = _tasks(module)
        if not found:
            raise InputError(f"{place} has no task: write @runback.task above its training function")
        if name and name not in found:
            raise InputError(f"{place} has no task {name!r}: it has {listed(sorted(found), 5)}")
        if not name and len(found) > 1:
            first = next(iter(found))
            raise InputError(
                f"{place} has {len(found)} tasks, {listed(list(found), 5)}: name one, as {place}:{first}"
            )
        task = found[name or next(iter(found))]
        source = cls(script, None if script else place, task.name)
        _loaded[source] = task
        return source

    def load(self) -> Task:
        """Return the task. Errors: InputError where its file has it no more."""
        if self not in _loaded:
            place = self.script or self.module
            found = _tasks(_module(self.script, self.module))
            if self.name not in found:
                raise InputError(f"{place} has no task {self.name!r}")
            _loaded[self] = found[self.name]
        return _loaded[self]

    @property
    def file(self) -> Path | None:
        """Its file; None where its module has none."""
        if self.script is not None:
            return Path(self.script)
        spec = importlib.util.find_spec(str(self.module))
        return None if spec is None or spec.origin is None else Path(spec.origin)

    @property
    def words(self) -> list[str]:
        """The words that name it after `runback train`, from the working directory."""
        if self.script is None:
            return [f"{self.module}:{self.name}"]
        path, here = Path(self.script), Path.cwd()
        return [f"{path.relative_to(here) if path.is_relative_to(here) else path}:{self.name}"]

    def as_dict(self, root: Path) -> dict[str, str]:
        """Return it as a run's record has it: a script by its path from the project's folder."""
        if self.script is None:
            return {"module": str(self.module), "name": self.name}
        path = Path(self.script).resolve()
        within = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        return {"script": within, "name": self.name}

    @classmethod
    def recorded(cls, task: Mapping[str, str], root: Path) -> Self:
        """Return the task of a run's record, in the project's folder. Errors: InputError."""
        script, module, name = task.get("script"), task.get("module"), task.get("name", "")
        if script is None and module is None:
            raise InputError(
                f"the run is of {name!a:.100}, of a notebook's cell: there is no file to find it in"
            )
        return cls(None if script is None else str(root / script), module, name)


CLASSIFIER = TaskSource(None, schema.CLASSIFIER, "train")
"""The image classifier's training, which is the task of a run whose record names none."""


def refuse_outside(task: Mapping[str, str], root: Path, run_id: str) -> None:
    """Raise InputError where the task of somebody else's run lies outside the project's folder."""
    script, module = task.get("script"), task.get("module", "")
    if script is not None:
        found, written = inside(root, script, f"the script of run {run_id}"), Layout(root).mlruns
        if found.is_relative_to(written):  # what runs have stored is no code of the project
            raise InputError(
                f"the script of run {run_id} lies in {written}, which holds what runs have stored"
            )
        return
    if module == CLASSIFIER.module:
        return
    path = Path(*module.split("."))
    files = [
        top / one
        for top in (root, root / "src")
        for one in (f"{path}.py", path / "__main__.py", path / "__init__.py")
    ]
    is_name = all(part.isidentifier() for part in module.split("."))
    if not is_name or not any(one.is_file() for one in files):
        raise InputError(f"run {run_id} is of the module {module!a:.100}, which this project has not")


def _tasks(module: ModuleType) -> dict[str, Task]:
    """Return a module's tasks by their functions' names, which need not be those that they have there."""
    return {one.name: one for one in vars(module).values() if isinstance(one, Task)}


@contextlib.contextmanager
def _importing(place: str) -> Iterator[None]:
    """Turn what keeps a file from being imported at all into InputError."""
    try:
        yield
    except (SyntaxError, ImportError) as error:
        kind, text = type(error).__name__, " ".join(str(error).split())
        raise InputError(f"cannot import {place}: {kind}: {text:.300}") from error


def _module(script: str | None, module: str | None) -> ModuleType:
    if script is None:
        with _importing(str(module)):
            try:
                _find_from_here(str(module).partition(".")[0])
                return importlib.import_module(str(module))
            except ModuleNotFoundError as error:
                if error.name and f"{module}.".startswith(f"{error.name}."):
                    raise InputError(
                        f"there is no module {module!a:.200}, and a script's name ends in .py"
                    ) from error
                raise
    main = sys.modules.get("__main__")
    if getattr(main, "__file__", None) and os.path.abspath(str(main.__file__)) == script and main is not None:  # type: ignore[union-attr] # noqa: PTH100
        return main
    if not Path(script).is_file():
        raise InputError(f"there is no script {script!a:.300}")
    folder = os.path.dirname(script)  # noqa: PTH120
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as Python does for a script
    spec = importlib.util.spec_from_file_location(SCRIPT_MODULE, script)
    if spec is None or spec.loader is None:
        raise InputError(f"{script!a:.300} is no Python script")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT_MODULE] = loaded
    with _importing(os.path.basename(script)):  # noqa: PTH119
        spec.loader.exec_module(loaded)
    return loaded


def _find_from_here(package: str) -> None:
    """Have a package of the working directory found, as `python -m` does, where there is no other one."""
    here = os.getcwd()  # noqa: PTH109
    if sys.flags.safe_path or here in sys.path or "" in sys.path or package in sys.modules:
        return
    if importlib.util.find_spec(package) is None:
        sys.path.insert(0, here)
        importlib.invalidate_caches()
