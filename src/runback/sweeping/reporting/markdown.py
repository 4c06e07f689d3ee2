"""Parts of MLflow's pages, which show Markdown."""

import re
from collections.abc import Sequence


def table_row(cells: Sequence[str]) -> str:
    """Write a row of a table; MLflow's page leaves no room between columns."""
    return f"| {'&ensp; | '.join(cells)} |"


def code_block(text: str) -> str:
    """Write lines for a shell, between fences that nothing in them can close."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}sh\n{text}\n{fence}"
