"""What a study's names and texts become in each medium of a report."""

import csv
import io
import re
import warnings

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from runback.sweeping.reporting.plots.drawing import draw
from runback.sweeping.reporting.sweep_note import RunLinks, note
from runback.sweeping.reporting.trials_table import trials_csv
from runback.sweeping.study.attributes import FAILURE
from runback.sweeping.study.budget import Budget

FORMULA, ESCAPE, SUM, LINK = "=cmd|'/C calc'!A0", "\x1b[2J", "$\\frac{$ $", "[x](javascript:alert(1))<b>"
CHOICES = (FORMULA, ESCAPE, SUM, LINK, "-5", "a\n```\n# b", "\u202ex")


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", study_name="s")
    axes = {
        "a.=x": CategoricalDistribution(CHOICES),
        "b.$y$_{": FloatDistribution(0.001, 1.0, log=True),
        "c.<img src=x onerror=alert(1)>": FloatDistribution(-2.0, 1.0),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.set_metric_names(["../$objective"])
    for number in range(14):
        params = dict(zip(axes, (CHOICES[number % len(CHOICES)], 0.001 + number / 20, -1.0), strict=True))
        params["c.<img src=x onerror=alert(1)>"] = -1.0 + number / 10
        trial = optuna.trial.create_trial(
            params=params,
            distributions=axes,
            value=-0.5 + (number * 7 % 13) / 13,
            user_attrs={"run_id": f"=1+1|\x1b[2J](javascript:x) `{number}"},
            intermediate_values={1: 0.1, 2: number / 14},
        )
        study.add_trial(trial)
    failed = optuna.trial.create_trial(
        state=optuna.trial.TrialState.FAIL, user_attrs={FAILURE: "@code: \x1b[31mred\nline"}
    )
    study.add_trial(failed)
    return study


def acts(text):
    return sorted({one for one in text if not one.isprintable() and one != "\n"})


def test_no_spreadsheet_calculates_a_trial_and_numbers_stay_numbers(study):
    text = trials_csv(study)
    assert acts(text) == []
    head, *rows = csv.reader(io.StringIO(text))
    assert len(rows) == 15
    assert not [cell for cell in (*head, *(c for row in rows for c in row)) if re.match(r"[=+@|%\t\r]", cell)]
    column = {name: [row[place] for row in rows] for place, name in enumerate(head)}
    assert f"'{FORMULA}" in column["a.=x"]
    assert "-5" in column["a.=x"]
    assert float(column["c.<img src=x onerror=alert(1)>"][0]) == -1.0
    assert column["failure"][-1].startswith("'@code")


def test_markdown_and_html_in_a_note_are_shown_as_they_are(study):
    commands = [("go on", "runback sweep 'a\n```\n<script>'"), ("", "runback evaluate ````x")]
    place = RunLinks("1", "r")
    text = note(study, place, Budget(20, None, 1), elapsed=1.0, commands=commands, artifacts=["trials.csv"])
    assert acts(text) == []
    told, fence, block = text.partition("`````sh\n")
    assert fence
    assert block.endswith("\n`````")
    assert "<" not in told
    links = re.findall(r"(?<!\\)\]\(([^)]*)\)", told)
    assert links
    assert all(re.fullmatch(r"#/experiments/1/runs/[\w%.~/-]+", link) for link in links)


def test_every_plot_is_drawn_whatever_its_texts_are(study, tmp_path):
    (tmp_path / "out").mkdir()
    assert draw(study, tmp_path / "out") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<img src=x" not in page
    assert "\x1b" not in page
    assert len(list((tmp_path / "out" / "plots").glob("*.png"))) >= 6
