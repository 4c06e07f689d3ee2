"""The results of a confirm stage as files: JSON and CSV for programs, Markdown for people."""

import csv
import io
import json
import math
from typing import Any

from runback.statistics.interval import CONFIDENCE, Interval
from runback.statistics.paired_seeds import Standing
from runback.sweeping.confirm.confirm_results import Confirmed
from runback.sweeping.confirm.confirm_text import confirm_section, verdict
from runback.system.text.escape import for_csv, for_terminal

SECTION = "confirm.md"


def files(result: Confirmed, registered: str | None) -> dict[str, str]:
    """Return the texts of confirm.json, confirm.csv and confirm.md by their names."""
    return {
        "confirm.json": json.dumps(as_dict(result, registered), indent=1) + "\n",
        "confirm.csv": as_csv(result),
        SECTION: confirm_section(result, registered) + "\n",
    }


def as_dict(result: Confirmed, registered: str | None) -> dict[str, Any]:
    """Return all that is known, NaN as None."""
    return {
        "sweep": result.sweep,
        "direction": "maximize" if result.maximize else "minimize",
        "confidence": CONFIDENCE,
        "seed_key": result.plan.seed_key,
        "seeds": result.plan.seeds,
        "verdict": verdict(result),
        "registered": registered,
        "finalists": [_standing(result, one) for one in result.standings],
        "incomplete": [one.trial for one in result.incomplete],
    }


def as_csv(result: Confirmed) -> str:
    """Return a row for each training: trial, seed, value, run; empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "seed", "value", "run"])
    writer.writerows(
        [one.trial, one.seed, one.value, for_csv(for_terminal(one.run_id or ""))] for one in result.trainings
    )
    return text.getvalue()


def _standing(result: Confirmed, one: Standing) -> dict[str, Any]:
    finalist = result.finalist(one.trial)
    runs = [training.run_id for training in result.trainings if training.trial == one.trial]
    return {
        "trial": one.trial,
        "differ_only_in_seed": finalist.twins,
        "params": finalist.params,
        "search": one.search,
        **_interval(one.mean),
        "optimism": one.optimism,
        "probability_best": one.probability_best,
        "lead_of_best": None if one.lead is None else _interval(one.lead),
        "best_is_better": one.is_behind,
        "values": list(one.values),
        "runs": runs,
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    ends = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {name: None if math.isnan(value) else value for name, value in ends.items()}
