"""Saves a view of an experiment for MLflow's web interface, in whose menu "Views" it is then listed."""

import base64
import json
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runback.tracking.store import Store, experiment_id, store_errors

VIEW_TAG = "mlflow.sharedViewState."
"""Before a view's key, the tag of an experiment that MLflow's interface keeps the view in."""


@dataclass(frozen=True)
class SavedView:
    """A selection of an experiment's runs, with an order and columns.

    Metrics, params and tags are columns in this order; runs are sorted by the first metric.
    """

    name: str
    where: str
    """The filter, in the language of MLflow's search."""
    metrics: Sequence[str]
    params: Sequence[str]
    ascending: bool
    tags: Sequence[str] = ()

    def state(self) -> dict[str, Any]:
        """Return it as MLflow 3.17 keeps it; what it lacks is as it is for a person who comes first."""
        parts = {"metrics": self.metrics, "params": self.params, "tags": self.tags}
        columns = [f"{part}.`{name}`" for part, names in parts.items() for name in names]
        return {
            "searchFilter": self.where,
            "orderByKey": columns[0],
            "orderByAsc": self.ascending,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": columns,
            "columnOrder": [],
            "columnWidths": {},
            "runsHiddenMode": "FIRST_20_RUNS",
            "hideEmptyCharts": True,
            "useGroupedValuesInCharts": True,
            "groupBy": None,
            "groupsExpanded": {},
            "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        }


def save_view(store: Store, experiment: str, key: str, view: SavedView) -> None:
    """Keep a view of an experiment, in place of the one that has this key. Errors: StoreError."""
    packed = base64.b64encode(zlib.compress(json.dumps(view.state()).encode())).decode()
    now = round(time.time() * 1000)
    content = {"name": view.name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    with store_errors(store, f"the view {view.name!r}"):
        store.client.set_experiment_tag(
            experiment_id(store, experiment), f"{VIEW_TAG}{key}", json.dumps(content)
        )
