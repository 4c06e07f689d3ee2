"""One page with all interactive plots, which needs no network: Plotly's script is in it, once."""

from collections.abc import Sequence
from typing import Any

from plotly.offline import get_plotlyjs

from runback.system.text.escape import for_html

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 1200px; color: #1b1f24; }
h1 { font-size: 20px; margin: 16px 0 4px; } h2 { font-size: 17px; margin: 28px 0 0; }
p { color: #57606a; margin: 2px 0 6px; } .wide { overflow-x: auto; }
"""

PLOTLY_CONFIG = {"responsive": True, "displaylogo": False}


def page(title: str, sections: Sequence[str]) -> str:
    """Return the page with these sections."""
    name = for_html(title)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f"<body><h1>{name}</h1>{''.join(sections)}</body></html>"
    )


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
