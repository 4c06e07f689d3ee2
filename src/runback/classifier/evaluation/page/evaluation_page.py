"""The page that a person reads: one HTML file with its pictures inside."""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from runback.classifier.evaluation.measure import Measure
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable
from runback.system.text.escape import for_html
from runback.system.text.html_page import html_page, html_table


def evaluation_page(title: str, about: Mapping[str, str], sections: Sequence[Section]) -> str:
    """Return the page: facts about what was evaluated, a list of the sections, and these."""
    facts = "".join(f"<tr><th>{for_html(name)}<td>{for_html(text)}" for name, text in about.items())
    links = " · ".join(f'<a href="#{one.name}">{for_html(one.title)}</a>' for one in sections)
    body = [f"<table>{facts}</table>", f"<p>{links}</p>", *(_section(one) for one in sections)]
    return html_page(title, "\n".join(body))


def _section(section: Section) -> str:
    parts = [
        f'<h2 id="{section.name}">{for_html(section.title)}</h2><p><em>{for_html(section.question)}</em></p>'
    ]
    if section.measures:
        rows = [(name.replace("_", " "), *_cells(one)) for name, one in section.measures.items()]
        parts.append(html_table(("", "value", "95 % interval", "images"), rows))
    parts += [f"<p>{for_html(note)}</p>" for note in section.notes]
    parts += [_figure(one) for one in section.pictures]
    parts += [_titled(one) for one in section.tables]
    return "\n".join(parts)


def _cells(measure: Measure) -> tuple[str, str, str]:
    return f"{measure.value:.4f}", measure.ends, f"{measure.n:,}"


def _titled(table: SectionTable) -> str:
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    return (
        f"<details open><summary>{for_html(table.title)}</summary>"
        f'<div class="wide">{html_table(table.head, rows)}</div></details>'
    )


def _cell(cell: Any) -> str:
    if isinstance(cell, Measure):
        return f"{cell.value:.3f} ({cell.ends})" if cell.ends else f"{cell.value:.3f}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return "" if cell is None else str(cell)


def _figure(picture: SectionPicture) -> str:
    return (
        f"<figure><figcaption><strong>{for_html(picture.title)}</strong> "
        f"{for_html(picture.caption)}</figcaption>"
        f'<img alt="{for_html(picture.title)}" src="data:image/png;base64,{_png(picture.figure)}"></figure>'
    )


def _png(figure: Figure) -> str:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a class may be called by an emoji
        figure.savefig(file, format="png")
    return base64.b64encode(file.getvalue()).decode("ascii")
