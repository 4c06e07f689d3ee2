"""Records the curves that `search.py` replays: `record_curves.py NAME FOLDER [--seed SEED] [--write-only]`.

NAME is a sweep of random configs, `curves/NAME.yaml`; FOLDER becomes a project, in which the sweep is run,
and goes on where it was stopped (it takes hours). Of all trials that have trained to their end by then, the
params and each epoch's val_accuracy, val_loss and seconds are added to `curves/NAME.parquet`: the whole
epoch's seconds, validation included and the checkpoint not, of a trial that shares two cores with another
one, a thread each. A config that the table has already is replaced. For more configs than a table has, the
sweep is run in another FOLDER, with another SEED. With `--write-only` nothing is run: what there is by now is
written, also while the sweep goes on.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

import runback

CURVES = Path(__file__).with_name("curves")

MEASURED = {"val_accuracy": "val_accuracy", "val_loss": "val_loss", "epoch_seconds": "seconds"}
"""The columns of a sweep's curves that are written, and their names in the table."""


def main() -> None:
    """Run the sweep, unless it is only to be written, and write its curves."""
    parser = argparse.ArgumentParser(description="Record the curves of a sweep of random configs.")
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, help="draw configs with this seed, not with that of the sweep")
    parser.add_argument("--write-only", action="store_true")
    options = parser.parse_args()
    folder = options.folder.absolute()
    if not options.write_only:
        record(options.name, folder, options.seed)
    os.environ["RUNBACK_ROOT"] = str(folder)
    sweep = runback.load(options.name)
    config = yaml.safe_load((CURVES / f"{options.name}.yaml").read_text("utf-8"))
    params, n_epochs = [*config["hydra"]["sweeper"]["params"]], config["training"]["epochs"]
    rows = table(sweep, params, n_epochs)
    file = CURVES / f"{options.name}.parquet"
    written = added(pd.read_parquet(file), rows, params) if file.exists() else rows
    written.to_parquet(file, index=False, compression="zstd")
    n_recorded = len(rows) // n_epochs
    left_out = sweep.trials["trial"].nunique() - n_recorded
    print(f"{n_recorded} configs of {n_epochs} epochs recorded in {folder}")
    print(f"left out: {left_out} trials that have not trained to their end")
    print(f"{len(written) // n_epochs} configs in {file}, {file.stat().st_size / 1e6:.2f} MB")


def record(name: str, folder: Path, seed: int | None) -> None:
    """Run the sweep in the folder until it is done or stopped."""
    (folder / "sweeps").mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("[tool.runback]\n")
    shutil.copy(CURVES / f"{name}.yaml", folder / "sweeps")
    # The points that a sweep begins with are those of every seed.
    others = [] if seed is None else [f"hydra.sweeper.seed={seed}", "hydra.sweeper.first=none"]
    subprocess.run([sys.executable, "-m", "runback", "sweep", name, *others], cwd=folder, check=False)


def table(sweep: runback.Sweep, params: Sequence[str], n_epochs: int) -> pd.DataFrame:
    """Return a row for each epoch of each trial that has trained to its end."""
    columns = {_column(param, sweep.trials): param for param in params}
    configs = sweep.trials.set_index("run")[[*columns]].rename(columns=columns)
    curves = sweep.curves.dropna(subset=[*MEASURED])  # the run of a reproduction measures no time
    whole = curves.groupby("run").filter(lambda curve: [*curve["epoch"]] == [*range(1, n_epochs + 1)])
    runs = whole.drop_duplicates("trial")["run"]  # a trial's first run that is whole
    rows = whole[whole["run"].isin(runs)][["run", "epoch", *MEASURED]].rename(columns=MEASURED)
    return configs.join(rows.set_index("run"), how="inner").reset_index(drop=True)


def added(rows: pd.DataFrame, more: pd.DataFrame, params: list[str]) -> pd.DataFrame:
    """Return the rows of configs that `more` lacks, and then those of `more`."""
    recorded = pd.MultiIndex.from_frame(more[params])
    kept = ~pd.MultiIndex.from_frame(rows[params]).isin(recorded)
    return pd.concat([rows[kept], more], ignore_index=True)


def _column(param: str, trials: pd.DataFrame) -> str:
    """Return the column of a param: that of a config group's choice is called `GROUP.name`."""
    return param if param in trials else f"{param}.name"


if __name__ == "__main__":
    main()
