"""Records the curves that `search.py` replays: `record_curves.py NAME FOLDER`.

NAME is a sweep of random configs, `curves/NAME.yaml`; FOLDER becomes a project, in which the sweep is run,
and goes on where it was stopped (it takes hours). Of all trials that have trained to their end by then, the
params and each epoch's val_accuracy, val_loss and seconds are written to `curves/NAME.parquet`. The seconds
are those of a trial that shares two cores with another one, a thread each.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

import runback

CURVES = Path(__file__).with_name("curves")


def record(name: str, folder: Path) -> None:
    """Run the sweep in the folder until it is done or stopped."""
    (folder / "sweeps").mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("[tool.runback]\n")
    shutil.copy(CURVES / f"{name}.yaml", folder / "sweeps")
    subprocess.run([sys.executable, "-m", "runback", "sweep", name], cwd=folder, check=False)


def table(name: str, folder: Path) -> pd.DataFrame:
    """Return a row an epoch of the trials that have trained to their end."""
    os.environ["RUNBACK_ROOT"] = str(folder)
    runs, curves = runback.load(name), runback.load(name, curves=True)
    print(runs.columns, curves.columns)
    raise NotImplementedError


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]).absolute())
    found = table(sys.argv[1], Path(sys.argv[2]).absolute())
    found.to_parquet(CURVES / f"{sys.argv[1]}.parquet", index=False)
    print(f"{len(found)} epochs of {found.groupby(level=0).ngroups} configs")
