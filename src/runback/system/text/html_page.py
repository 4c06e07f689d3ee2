"""Pages for people: one HTML file each, in one style, without anything from elsewhere."""

from collections.abc import Iterable
from typing import Any

from runback.system.text.escape import for_html

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin: 2rem 0 0 } p { margin: .2rem 0 .5rem }
table { border-collapse: collapse; margin: 1rem 0 } code { font-size: .9em }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid }
img { max-width: 100% }
.wide { overflow-x: auto } .wide th, .wide td { white-space: nowrap }
.same { color: #17663a } .other { color: #a32020 }
"""


def html_page(title: str, body: str, *, heading: str | None = None, script: str = "") -> str:
    """Return a page with a title, a heading (by default the title) and a body.

    `body`, `heading` and `script` are HTML and JavaScript as they are; the title is escaped.
    """
    name = for_html(title)
    code = f"<script>{script}</script>" if script else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{STYLE}</style>{code}</head>\n"
        f"<body><h1>{name if heading is None else heading}</h1>\n{body}</body></html>\n"
    )


def html_table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table in HTML; texts are escaped."""
    lines = ["<table><tr>" + "".join(f"<th>{for_html(name)}" for name in head)]
    lines += ["<tr>" + "".join(f"<td>{for_html(str(cell))}" for cell in row) for row in rows]
    return "\n".join(lines) + "</table>"
