"""Stops a sweep that runs, as Ctrl-C does, or ends one trial of it for good: `runback stop NAME[/TRIAL]`."""

import time
from pathlib import Path

from runback.cli.sweeps.sweep_folder import folder_of
from runback.errors import InputError, TrainingError
from runback.system.options import Parser
from runback.system.text.terminal import say

STOPPING = 120.0
"""Seconds that a sweep gets to stop."""


def main(argv: list[str]) -> int:
    """Run `runback stop`."""
    parser = Parser(prog="runback stop", description=__doc__)
    parser.add_argument(
        "name", metavar="NAME[/TRIAL]", help="the sweep's name; or that, / and a trial's number"
    )
    options = parser.parse_args(argv)
    from runback.sweeping.control.mailbox import ask
    from runback.sweeping.control.request import EndTrial

    name, slash, number = options.name.partition("/")
    folder = folder_of(name)
    if not slash:
        _stop(folder, name)
    elif number.isascii() and number.isdecimal():
        ask(folder, name, EndTrial(int(number)))
        say(f"trial {number} of {name} ends")
    else:
        raise InputError(f"expected a trial's number after /; got {number!r:.80}")
    return 0


def _stop(folder: Path, name: str) -> None:
    """Stop a sweep; one that only waits in SLURM's queue is taken out of it."""
    from runback.sweeping.control.mailbox import NoAnswer, ask
    from runback.sweeping.control.presence import SweepWatch
    from runback.sweeping.control.request import StopSweep
    from runback.sweeping.trials.remote import slurm_jobs
    from runback.sweeping.watching.live_file import LiveView

    watch = SweepWatch(folder)
    try:
        ask(folder, name, StopSweep())
    except NoAnswer:
        if watch.look(LiveView.read(folder)) == "running":
            raise
        jobs = [*slurm_jobs.read_jobs(folder, slurm_jobs.COORDINATOR)]
        jobs += slurm_jobs.read_jobs(folder, slurm_jobs.WORKERS)
        if not slurm_jobs.states(jobs):
            raise
        if not all(slurm_jobs.cancel(folder, one) for one in (slurm_jobs.COORDINATOR, slurm_jobs.WORKERS)):
            raise TrainingError(f"SLURM does not answer: sweep {name} still waits in its queue") from None
        say(f"the jobs of sweep {name} are taken out of SLURM's queue; the same command goes on with it")
        return
    deadline = time.monotonic() + STOPPING
    while watch.look(LiveView.read(folder)) != "gone":
        if time.monotonic() > deadline:
            raise TrainingError(f"sweep {name} has not stopped within {STOPPING:.0f} s")
        time.sleep(0.1)
    say(f"sweep {name} has been stopped; the same command goes on with it")
