"""The command line: `runback VERB …` imports the verb's module and hands over."""

import contextlib
import importlib
import os
import sys

from runback.errors import InputError
from runback.system.exit_code import exit_code
from runback.system.home_folder import name_home
from runback.system.text.lasting_output import UNREAD, lasting_output, output_troubles
from runback.system.text.listing import did_you_mean
from runback.system.text.redacted_output import redacted_output
from runback.system.text.terminal import guard, say
from runback.tracking.tracking_server import KEY, take_uri

VERBS = {
    "init": "make a project that runs at once, or copy a group of configs into one to change them",
    "train": "train one model, or sweep over overrides with --multirun, or go on with resume=RUN",
    "sweep": "start or continue a sweep of sweeps/",
    "attach": "show the live table of a sweep that runs elsewhere",
    "stop": "stop a running sweep, or end one trial of it",
    "worker": "take trials of a sweep whose study is in PostgreSQL, on any machine that reaches it",
    "best": "print the run ID of a sweep's best trial",
    "promote": "make a run's model the champion of its sweep in the model registry",
    "reproduce": "train a recorded run again and say whether it came out the same, bit for bit",
    "compare": "show runs in one table, or say why two differ",
    "export": "pack a run, its code and its model into one file",
    "verify": "check every sum of such a file",
    "evaluate": "measure a run's model on the test split, once",
    "review": "record who looked at a run's evaluation, when, at what",
    "sync": "deliver what runs have recorded while their store was away",
    "serve": "answer images with a run's network, over HTTP, on this machine",
    "import": "turn a notebook that trains a Keras model into a script with a task",
    "ui": "open the MLflow UI on this machine",
    "doctor": "check this machine and the stores, and mend what can be mended",
    "clean": "show what is not needed any more, and delete it",
}

MODULES = {
    "attach": "runback.cli.sweeps.attach",
    "evaluate": "runback.cli.approval.evaluate",
    "promote": "runback.cli.approval.promote",
    "review": "runback.cli.approval.review",
    "worker": "runback.cli.sweeps.study_worker",
    "import": "runback.cli.import_notebook",
    "init": "runback.cli.projects.init",
    "stop": "runback.cli.sweeps.stop",
    "sweep": "runback.cli.sweeps.sweep",
}
"""The modules of commands that cannot be called like their verb, or have a folder of their own."""

HELP = ("-h", "--help", "help")

PAGES = ("serve", "ui")
"""Commands that print the address of a page, in which a token may stand that is meant to be read."""

ANSWERS = ("best", "compare", "verify", "doctor")
ASKS = (*HELP, "--cfg", "-c", "--hydra-help", "--show")
"""Commands and options that only print: without their output nothing is done."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code (0 fine, 1 failed, 2 bad input, 130 Ctrl-C)."""
    guard()
    name_home()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before a script that is named imports TensorFlow
    arguments = sys.argv[1:] if argv is None else argv
    is_answer = _is_answer(arguments)
    with lasting_output(is_work=not is_answer, is_result=is_answer or "--json" in arguments):
        code = _main(arguments)
        sys.stdout.flush()
        is_lost = any(UNREAD not in trouble for trouble in output_troubles())
        return 1 if code == 0 and is_answer and is_lost else code


def _is_answer(arguments: list[str]) -> bool:
    if not arguments or arguments[0] in ANSWERS or (arguments[0] == "clean" and "--yes" not in arguments):
        return True
    return any(argument.partition("=")[0] in ASKS for argument in arguments)


def _main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in HELP:
        say(*_usage().split("\n"))
        return 0
    with contextlib.nullcontext() if arguments[0] in PAGES else redacted_output():
        return exit_code(lambda: _run(arguments[0], arguments[1:]))


def _run(verb: str, arguments: list[str]) -> int:
    if verb not in VERBS:
        hint = did_you_mean(verb, VERBS, f"expected one of {', '.join(VERBS)}")
        raise InputError(f"unknown command '{verb}': {hint}")
    arguments = take_uri(arguments)
    module = MODULES.get(verb, f"runback.cli.commands.{verb}")
    code: int = importlib.import_module(module).main(arguments)
    return code


def _usage() -> str:
    lines = [f"  {verb:<10} {text}" for verb, text in VERBS.items()]
    server = f"{KEY}=https://… behind a command names a tracking server that keeps the runs."
    return "\n".join(
        ["usage: runback COMMAND …", "", *lines, "", "runback COMMAND --help tells more.", server]
    )
