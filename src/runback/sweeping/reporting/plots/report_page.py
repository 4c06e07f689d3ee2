"""One page with all interactive plots, which needs no network: Plotly's script is in it, once."""

from collections.abc import Sequence
from typing import Any

from plotly.offline import get_plotlyjs

from runback.system.text.escape import for_html
from runback.system.text.html_page import html_page

PLOTLY_CONFIG = {"responsive": True, "displaylogo": False}


def page(title: str, sections: Sequence[str]) -> str:
    """Return the page with these sections."""
    return html_page(title, "".join(sections), script=get_plotlyjs())


def section(name: str, heading: str, reading: str, figures: Sequence[Any]) -> str:
    """Return a part of the page: a heading, how to read it, and Plotly figures. `name` is the only such."""
    drawn = "".join(
        figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=f"{name}-{i}",
            config=PLOTLY_CONFIG,
            default_width="100%",
        )
        for i, figure in enumerate(figures)
    )
    return f'<h2>{for_html(heading)}</h2><p>{for_html(reading)}</p><div class="wide">{drawn}</div>'
