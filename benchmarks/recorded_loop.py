"""What it costs a loop that its epochs are recorded, and a program that it imports runback.

    python benchmarks/recorded_loop.py [--epochs E] [--repeats N]

Nothing else should run meanwhile. The loop: NumPy's, of some milliseconds an epoch, the same one without and
with `run.log`, alone and as a trial of a sweep; each pair of processes runs one after the other. Beyond the
loop lies all that an epoch takes longer: the line on the terminal, the file beside the run, the store. The
import: of runback in a fresh Python, less that of nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from command_line import parsed, parser
from spread import shown

LOOP = """
import json, os, time
import numpy as np
import runback

def epoch(w, x):
    for _ in range(20):
        w = np.tanh(w + 1e-3 * x.T @ (x @ w))
    return w

def seconds(epochs, log):
    w, x = np.ones(50), np.random.default_rng(0).normal(size=(500, 50))
    taken = []
    for number in range(epochs):
        began = time.perf_counter()
        w = epoch(w, x)
        log(number, float(w @ w))
        taken.append(time.perf_counter() - began)
    return taken[len(taken) // 10:]

@runback.task
def fit(run: runback.Run, *, epochs: int = 50, place: int = 0) -> float:
    bare = seconds(epochs, lambda number, loss: None)
    run.begin(epochs=epochs)
    recorded = seconds(epochs, lambda number, loss: run.log(loss=loss, step=number + 1))
    with open(os.environ["TAKEN"], "a") as file:
        file.write(json.dumps([sum(bare) / len(bare), sum(recorded) / len(recorded)]) + "\\n")
    return run.best("loss")

if __name__ == "__main__":
    fit.main()
"""


def main() -> None:
    """Measure and print."""
    options = parsed(parser(__doc__))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fit.py").write_text(LOOP)
        print("a recorded epoch beyond the loop (wanted: below 5 ms)")
        alone = [_beyond(folder, options, []) for _ in range(options.repeats)]
        print(f"  a single run          {shown([1e3 * one for one in alone], '.2f', ' ms')}")
        sweep = ["--multirun", "place=range(1)", "hydra/sweeper/pruner=asha"]
        trials = [
            _beyond(folder, options, [*sweep, f"hydra.sweeper.name=s{number}"])
            for number in range(options.repeats)
        ]
        print(f"  a trial of a sweep    {shown([1e3 * one for one in trials], '.2f', ' ms')}")
        print("import runback (wanted: below 50 ms)")
        imports = [_seconds("import runback, runback.keras") - _seconds("") for _ in range(options.repeats)]
        print(f"  beyond Python's start {shown([1e3 * one for one in imports], '.1f', ' ms')}")


def _beyond(folder: Path, options: argparse.Namespace, overrides: list[str]) -> float:
    """Return the seconds that an epoch of the loop takes longer where it is recorded."""
    taken = folder / "taken.jsonl"
    taken.unlink(missing_ok=True)
    command = [sys.executable, "fit.py", *overrides, f"epochs={options.epochs}"]
    environment = {**os.environ, "TAKEN": str(taken), "RUNBACK_ROOT": str(folder)}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    pairs = [json.loads(line) for line in taken.read_text().splitlines()]
    return statistics.mean(recorded - bare for bare, recorded in pairs)


def _seconds(statement: str) -> float:
    """Return the seconds that a fresh Python takes for a statement, from its start to its end."""
    timed = (
        "import os, subprocess, sys, time; began = time.perf_counter(); "
        "subprocess.run([sys.executable, '-c', sys.argv[1]], check=True); print(time.perf_counter() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", timed, statement], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
