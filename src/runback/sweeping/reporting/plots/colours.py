"""Colours and sizes that plots and pictures share, and the name of the plots' page."""

PAGE = "report.html"

ROW = 4
"""Params side by side: more are too narrow in MLflow's page."""

BEST, DONE, PRUNED, FAILED, PAUSED = "#d62728", "#1f77b4", "#b8bfc6", "#e377c2", "#e8a33d"

STATES = {
    **{"done": DONE, "pruned": PRUNED, "failed": FAILED},
    **{"running": "#2ca02c", "paused": PAUSED, "waiting": "#8c8c8c"},
}
"""The colour of each state of a trial."""
