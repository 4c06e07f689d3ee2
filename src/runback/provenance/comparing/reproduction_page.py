"""A reproduction as a page for a person, in one HTML file without anything from elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from runback.system.text.escape import for_html
from runback.system.text.html_page import html_page, html_table


def reproduction_page(facts: Mapping[str, Any]) -> str:
    """Return the page for a reproduction.json: the verdict, how it was reached, and what differs."""
    kind = "other" if facts["verdict"] == "different" else "same"
    heading = f'Reproduction: <span class="{kind}">{for_html(facts["verdict"])}</span>'
    parts = [
        f"<p>Run <code>{for_html(facts['run'])}</code> was trained again as ",
        f"<code>{for_html(facts['reproduction'])}</code>.</p>",
        "<ul>",
        *(f"<li>{for_html(line)}</li>" for line in facts["explanation"]),
        "</ul>",
        _differences(facts["differences"]),
    ]
    return html_page("reproduction", "\n".join(parts), heading=heading)


def _differences(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return "<p>Code, packages, Python, hardware, threads and data are those of the recorded run.</p>"
    rows = ((one["part"], one["what"], one["then"], one["now"]) for one in found)
    return "<h2>What differs</h2>" + html_table(("", "", "recorded", "now"), rows)
