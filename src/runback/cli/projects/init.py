"""`runback init NAME`: makes a project around the classifier, or around a script, which runs at once."""

import os
import shlex
import sys
from pathlib import Path

from runback.cli.projects.eject import eject
from runback.cli.projects.own_script import OwnScript
from runback.cli.projects.project_files import classifier_files, make_project, script_files
from runback.errors import InputError
from runback.system.options import Parser
from runback.system.text.terminal import say
from runback.tracking.layout import folder_name


def main(argv: list[str]) -> int:
    """Run `runback init`."""
    parser = Parser(prog="runback init", description=__doc__)
    parser.add_argument("name", metavar="NAME", nargs="?", help="the folder to make")
    script = "a script with a task, which is copied; one that is not there is written, as an example"
    parser.add_argument("--script", metavar="FILE", help=script)
    group = "copy the files of a config group, or one of them, into this project, to change them"
    parser.add_argument("--eject", metavar="GROUP[/CHOICE]", help=group)
    options = parser.parse_args(argv)
    if options.eject is not None:
        if options.name is not None or options.script is not None:
            raise InputError("--eject GROUP stands alone: it works in the project that it is called in")
        eject(options.eject)
        return 0
    if options.name is None:
        raise InputError("expected the name of the project's folder, as in runback init digits")
    folder = Path.cwd() / folder_name(options.name, "the project's name")
    if os.path.lexists(folder):
        raise InputError(f"{options.name} exists already: choose another name")
    if options.script is None:
        make_project(folder, classifier_files(options.name))
        say(f"made {options.name}, a project around the image classifier")
    else:
        _around_script(folder, options.name, options.script)
    _say_next(options.name)
    return 0


def _around_script(folder: Path, name: str, reference: str) -> None:
    with OwnScript.of(reference) as script:
        make_project(folder, script_files(name, script))
    is_copy = "a copy" if script.is_found else "written as an example, because it was not there"
    say(f"made {name}, a project around {script.reference}: {is_copy}")
    if script.beside:
        say(f"  with what lies beside it: {', '.join(sorted({path.parts[0] for path in script.beside}))}")
    say(*(f"  {line}" for line in script.space.lines()))


def _say_next(name: str) -> None:
    go = f"cd {shlex.quote(name)}" if not name.startswith("-") else f"cd ./{shlex.quote(name)}"
    say(f"next: {go} && make sweep")
    if sys.prefix != sys.base_prefix and "UV" not in os.environ:  # uvx's environment is gone soon
        say(f"  or, with the packages that are here: {go} && make sweep VENV={shlex.quote(sys.prefix)}")
