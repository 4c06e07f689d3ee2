"""A reproduction as a page for a person, in one HTML file without anything from elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runback.system.text.escape import for_html

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } table { border-collapse: collapse; margin: 1rem 0 }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid }
.same { color: #17663a } .other { color: #a32020 } code { font-size: .9em }
"""


def reproduction_page(facts: Mapping[str, Any]) -> str:
    """Return the page for a reproduction.json: the verdict, how it was reached, and what differs."""
    kind = "other" if facts["verdict"] == "different" else "same"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>reproduction</title>",
        f"<style>{STYLE}</style>",
        f'<h1>Reproduction: <span class="{kind}">{for_html(facts["verdict"])}</span></h1>',
        f"<p>Run <code>{for_html(facts['run'])}</code> was trained again as ",
        f"<code>{for_html(facts['reproduction'])}</code>.</p>",
        "<ul>",
        *(f"<li>{for_html(line)}</li>" for line in facts["explanation"]),
        "</ul>",
        _differences(facts["differences"]),
    ]
    return "\n".join(parts) + "\n"


def _differences(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return "<p>Code, packages, Python, hardware, threads and data are those of the recorded run.</p>"
    rows = ((one["part"], one["what"], one["then"], one["now"]) for one in found)
    return "<h2>What differs</h2>" + html_table(("", "", "recorded", "now"), rows)


def html_table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table in HTML; texts are escaped."""
    lines = ["<table><tr>" + "".join(f"<th>{for_html(name)}" for name in head)]
    lines += ["<tr>" + "".join(f"<td>{for_html(str(cell))}" for cell in row) for row in rows]
    return "\n".join(lines) + "</table>"
