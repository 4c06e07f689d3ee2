"""Whether a trial that has paused ends with the bits of a training that never stopped.

    python benchmarks/promoted_bits.py [--promoted N] [OVERRIDE ...]

Sweeps over scikit-learn's digits pause their trials at rungs (`pruner=promote`), one seed after the other,
until N trials have paused at least once, gone on from their checkpoint in a new process, and come to their
end. Each of them is then trained again from its record without a pause, as `runback reproduce` does, and each
weight of the two networks is compared bit for bit. OVERRIDEs are given to the sweeps, as
training.precision=mixed_bfloat16. Exit code 1: some differ. With the defaults it takes about 8 minutes on two
cores.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import runback
from project import temporary_project
from runback.statistics.wilson_interval import wilson
from runback.system.text.quiet_stderr import silenced
from runback.tracking.layout import Layout, project_root
from runback.tracking.store import open_store
from runback.tracking.tags import RESUMED_TAG

SWEEP = """# @package _global_
defaults:
  - override /model: shallow_cnn
  - override /data: digits
  - override /augmentation: shift
  - override /hydra/sweeper/sampler: tpe
  - override /hydra/sweeper/pruner: promote
training:
  epochs: 4
hydra:
  sweeper:
    n_trials: 24
    first: none
    n_workers: 2
    deterministic: true # a trial waits for others at its rung, and does not go on at once
    pruner:
      reduction_factor: 2 # rungs after 1 and 2 epochs
    params:
      training.batch_size: choice(16, 32, 64)
      model.conv_dropout: interval(0.0, 0.5)
      model.dense_dropout: interval(0.0, 0.6)
      optimizer: choice(sgd, adam, rmsprop)
      optimizer.learning_rate: tag(log, interval(0.0005, 0.02))
"""

PATIENCE = 3
"""Sweeps one after the other without such a trial, after which there will be none."""


@dataclass(frozen=True)
class Promoted:
    """A finished trial that has paused."""

    name: str
    run_id: str
    n_pauses: int


def main() -> None:
    """Sweep and train again in a temporary project, and print."""
    options = _options()
    pauses, different = [], []
    with temporary_project() as folder:
        (folder / "sweeps" / "pausing.yaml").write_text(SWEEP)
        for trial in _promoted(options.promoted, options.overrides):
            found = _compare(trial)
            said = f"{len(found)} weights differ, as {found[0]}" if found else "equal"
            print(f"{trial.name}, pauses: {trial.n_pauses}, {said}", flush=True)
            pauses.append(trial.n_pauses)
            different += [trial.name] if found else []
    n, n_equal = len(pauses), len(pauses) - len(different)
    low, high = wilson(n_equal, n)
    print(f"{n_equal} of {n} equal (95 % interval {low:.0%} to {high:.0%}), {sum(pauses)} pauses in all")
    if different:
        print(f"different: {', '.join(different)}")
        raise SystemExit(1)


def _promoted(count: int, overrides: Sequence[str]) -> Iterator[Promoted]:
    """Sweep with one seed after the other; yield `count` finished trials that have paused."""
    seed = without = 0
    while count > 0:
        found = _sweep(seed, overrides)[:count]
        yield from found
        seed, count, without = seed + 1, count - len(found), 0 if found else without + 1
        if without == PATIENCE:
            raise SystemExit(f"{PATIENCE} sweeps in a row had no finished trial that had paused")


def _sweep(seed: int, overrides: Sequence[str]) -> list[Promoted]:
    name = f"pausing-{seed}"
    seeds = (f"seed={seed}", f"hydra.sweeper.seed={seed}", f"hydra.sweeper.name={name}")
    _runback("sweep", "pausing", *seeds, *overrides)
    client = open_store(Layout(project_root())).client
    found = []
    for trial in runback.load(name).trials.itertuples():
        resumed = client.get_run(trial.run).data.tags.get(RESUMED_TAG)
        if trial.status == "FINISHED" and resumed is not None:
            found.append(Promoted(f"trial {trial.trial} of seed {seed}", trial.run, len(resumed.split(";"))))
    return found


def _compare(trial: Promoted) -> list[str]:
    """Train a trial again without a pause; return the names of its weights that have other bits then."""
    verdict = json.loads(_runback("reproduce", trial.run_id, "--in-place", "--json"))
    return differing(*map(_weights, (trial.run_id, verdict["reproduction"])))


def differing(paused: Mapping[str, bytes], straight: Mapping[str, bytes]) -> list[str]:
    """Return the names of the weights that have other bits, or that only one of two networks has."""
    names = [*paused, *(name for name in straight if name not in paused)]
    return [name for name in names if paused.get(name) != straight.get(name)]


def _weights(run_id: str) -> dict[str, bytes]:
    """Return the bits of each weight of a run's network."""
    with silenced():
        model: Any = runback.load_model(run_id)
    return {f"{place} {one.path}": one.numpy().tobytes() for place, one in enumerate(model.weights)}


def _runback(*arguments: str) -> str:
    """Return what a command prints; a verdict that is not the best one is no failure of the command."""
    done = subprocess.run([sys.executable, "-m", "runback", *arguments], capture_output=True, text=True)
    if done.returncode not in ((0, 1) if arguments[0] == "reproduce" else (0,)):
        raise SystemExit(f"runback {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--promoted", type=int, default=20, metavar="N", help="trials to compare (20)")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as model.dense_width=16")
    options = parser.parse_args()
    if options.promoted < 1:
        parser.error(f"expected --promoted from 1; got {options.promoted}")
    return options


if __name__ == "__main__":
    main()
