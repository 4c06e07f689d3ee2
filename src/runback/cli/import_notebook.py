"""`runback import NOTEBOOK.ipynb`: turns a notebook that trains a Keras model into a script with a task."""

import os
from pathlib import Path

from runback.errors import InputError
from runback.runs.importing.task_script import import_notebook
from runback.system.options import Parser
from runback.system.text.terminal import say


def main(argv: list[str]) -> int:
    """Run `runback import`."""
    parser = Parser(
        prog="runback import",
        description="Turn a notebook that trains a Keras model into a script with a task.",
    )
    parser.add_argument(
        "notebook", metavar="NOTEBOOK.ipynb", type=Path, help="it is read, never run or changed"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("train.py"), help="the script to write (train.py)"
    )
    options = parser.parse_args(argv)
    output: Path = options.output
    if output.suffix != ".py":
        raise InputError(f"--output must name a script, as train.py; got {str(output)!a:.300}")
    if os.path.lexists(output):
        raise InputError(f"{str(output)!a:.300} is there already: name another script, with --output")
    try:
        imported = import_notebook(options.notebook)
    except RecursionError as error:
        raise InputError(f"{str(options.notebook)!a:.300} nests its code too deeply") from error
    try:
        with output.open("x", encoding="utf-8") as stream:
            stream.write(imported.script)
    except OSError as error:
        raise InputError(f"cannot write {str(output)!a:.300}: {error.strerror}") from error
    cells = f"{imported.cells} cell{'s' if imported.cells != 1 else ''} of code"
    say(f"{output}: the task of {options.notebook}, {cells}; its objective is {imported.objective}")
    say("parameters: " + (", ".join(imported.parameters) or "none"))
    say(*imported.notes.lines())
    say("to train, and to see the parameters:", f"  python {output}", f"  python {output} --help")
    return 0
