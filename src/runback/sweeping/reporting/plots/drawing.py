"""Draws a sweep's plots in a process of its own.

`python -m runback.sweeping.reporting.plots.drawing STUDY NAME OUT` reads the study and writes `report.html`
and `plots/*.png` into OUT. The coordinator imports none of it.
"""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
from optuna.study import Study

from runback.sweeping.reporting.plots.colours import PAGE
from runback.sweeping.reporting.plots.plot_selection import Plot, possible
from runback.sweeping.reporting.plots.plotted_study import PlottedStudy, views
from runback.sweeping.study.study_store import read_study
from runback.system.text.escape import for_picture, for_plotly

PICTURES = "plots"

RESOLUTION = 110
"""Dots per inch of a picture."""

LEAST_URGENT = 19


def draw(study: Study, folder: Path) -> list[str]:
    """Write the page and the pictures into `folder`; return why plots are missing."""
    missing: list[str] = []
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's about what is experimental, matplotlib's about layouts
        _write_page(study.study_name, views(study, for_plotly), folder / PAGE, missing)
        _write_pictures(views(study, for_picture), folder / PICTURES, missing)
    return missing


def _write_page(name: str, found: Sequence[PlottedStudy], file: Path, missing: list[str]) -> None:
    from runback.sweeping.reporting.plots import plotly_plots
    from runback.sweeping.reporting.plots.report_page import page, section

    sections: list[str] = []

    def add(plot: Plot, view: PlottedStudy, stem: str) -> None:
        heading = f"{plot.title}: {view.title}" if stem != plot.name else plot.title
        sections.append(section(stem, heading, plot.reading, getattr(plotly_plots, plot.name)(view)))

    _each(found, add, missing)
    file.write_text(page(f"Sweep {name}", sections), encoding="utf-8")


def _write_pictures(found: Sequence[PlottedStudy], folder: Path, missing: list[str]) -> None:
    import matplotlib as mpl

    mpl.use("agg")  # before pyplot looks for a display
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a font in the place of another is no trouble
    from matplotlib import pyplot

    from runback.sweeping.reporting.plots import matplotlib_plots

    def save(plot: Plot, view: PlottedStudy, stem: str) -> None:
        figure = getattr(matplotlib_plots, plot.name)(view)
        box = None if figure.get_layout_engine() else "tight"
        figure.savefig(folder / f"{stem}.png", dpi=RESOLUTION, bbox_inches=box)
        pyplot.close(figure)

    _each(found, save, missing)


def _each(
    found: Sequence[PlottedStudy], draw_one: Callable[[Plot, PlottedStudy, str], None], missing: list[str]
) -> None:
    for plot, view, stem in possible(found):
        try:
            draw_one(plot, view, stem)
        except Exception as error:  # one plot that fails must not cost the others
            missing.append(f"{stem}: {type(error).__name__}: {error}")


def main(argv: Sequence[str]) -> int:
    """Draw; a last argument `idle` leaves the processors to everybody else."""
    folder, name, out, *how = argv
    if how == ["idle"]:
        os.nice(LEAST_URGENT)
    study = read_study(Path(folder), name)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it says of each trial that it leaves it out
    missing = draw(study, Path(out))
    sys.stderr.write("; ".join(missing).replace("\n", " "))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
