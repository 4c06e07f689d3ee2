"""Colours and sizes that plots and pictures share, and the name of the plots' page."""

PAGE = "report.html"

ROW = 4
"""Params side by side: more are too narrow in MLflow's page."""

BEST, DONE, PRUNED, FAILED = "#d62728", "#1f77b4", "#b8bfc6", "#e377c2"

STATES = {"COMPLETE": DONE, "PRUNED": PRUNED, "FAIL": FAILED, "RUNNING": "#2ca02c", "WAITING": "#8c8c8c"}
