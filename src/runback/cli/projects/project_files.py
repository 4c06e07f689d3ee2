"""The files of a new project, and the folder that they are written to."""

import json
import re
import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from runback.classifier import packaged
from runback.cli.projects.own_script import OwnScript
from runback.cli.projects.templates_folder import template
from runback.errors import InputError
from runback.system.secrecy import without_credentials

TRAINING_TEST = """
    def test_it_trains(self):
        self.assertIn("epoch 1", runback("train", SCRIPT, {short}))
"""


def classifier_files(name: str) -> dict[Path, bytes]:
    """Return the files, by their paths, of a project around the classifier."""
    texts = {
        "README.md": template("classifier/README.md", TITLE=name),
        "tests/test_project.py": template("classifier/test_project.py"),
    }
    sweep = packaged.FOLDER / "sweeps" / "quickstart.yaml"
    return {
        **_shared(name, template("classifier/rules"), ""),
        **_encoded(texts),
        Path("sweeps", sweep.name): sweep.read_bytes(),
    }


def script_files(name: str, script: OwnScript) -> dict[Path, bytes]:
    """Return the files, by their paths, of a project around a script."""
    short = ", ".join(json.dumps(one) for one in script.short)
    texts = {
        "README.md": template(
            "script/README.md", TITLE=name, SCRIPT=script.reference, EXAMPLE=script.space.example
        ),
        "tests/test_project.py": template(
            "script/test_project.py",
            SCRIPT_LITERAL=json.dumps(script.reference, ensure_ascii=False),
            TRAINING_TEST=TRAINING_TEST.format(short=short) if short else "",
            AND_TRAINS=", and one epoch is trained" if short else "",
        ),
        "sweeps/quickstart.yaml": script.space.sweep_file(script.reference),
    }
    rules = template("script/rules", EXAMPLE=script.space.example)
    made = {**_shared(name, rules, f"SCRIPT ?= {script.reference}\n"), **_encoded(texts)}
    doubled = sorted(set(made) & set(script.files))
    if doubled:
        raise InputError(f"{doubled[0]} is needed by the script and made by runback init: rename it")
    return {**made, **script.files}


def make_project(folder: Path, files: Mapping[Path, bytes]) -> None:
    """Write a new project's files into a new folder. Errors: InputError, and then no folder is left."""
    try:
        folder.mkdir()
    except OSError as error:
        raise InputError(f"cannot make the folder {folder.name}: {error.strerror}") from error
    try:
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot write {folder.name}: {error.strerror}") from error
        raise


def _shared(name: str, rules: str, variables: str) -> dict[Path, bytes]:
    """Return the files that both kinds of projects have."""
    targets = re.findall(r"^([a-z]+):", rules, re.MULTILINE)
    texts = {
        ".gitignore": template("any/gitignore"),
        "Makefile": template(
            "any/Makefile", VARIABLES=variables, TARGETS=" ".join(targets), RULES=rules.rstrip("\n")
        ),
        "pyproject.toml": template(
            "any/pyproject.toml",
            PROJECT=_project_name(name),
            PYTHONS=str(distribution("runback").metadata["Requires-Python"]),
            SOURCE=_source(),
        ),
    }
    return _encoded(texts)


def _encoded(texts: Mapping[str, str]) -> dict[Path, bytes]:
    return {Path(name): text.encode() for name, text in texts.items()}


def _project_name(name: str) -> str:
    """Return a folder's name as that of a Python project, and not of a package that is here."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project"
    try:
        distribution(plain)
    except PackageNotFoundError:
        return plain
    return f"{plain}-project"


def _source() -> str:
    """Return where runback is from, as a requirement has it behind the name: its version, or its place."""
    own = distribution("runback")
    origin = own.read_text("direct_url.json")
    if origin is None:
        return f"=={own.version}"
    facts = json.loads(origin)
    url = without_credentials(facts["url"])
    if "vcs_info" in facts:
        url = f"{facts['vcs_info']['vcs']}+{url}@{facts['vcs_info']['commit_id']}"
    return f" @ {url}"
