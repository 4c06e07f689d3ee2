"""Tables for MLflow's pages, which show Markdown."""

from collections.abc import Sequence


def table_row(cells: Sequence[str]) -> str:
    """Write a row of a table; MLflow's page leaves no room between columns."""
    return f"| {'&ensp; | '.join(cells)} |"
