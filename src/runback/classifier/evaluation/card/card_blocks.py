"""A document that is Markdown and HTML: headings, paragraphs, lists and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from runback.system.text.escape import for_html, for_markdown
from runback.system.text.html_page import html_page, html_table


@dataclass(frozen=True)
class Heading:
    """A heading; of depth 2 a part, of depth 3 a part of that."""

    text: str
    depth: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Sentences."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list."""

    texts: Sequence[str]


@dataclass(frozen=True)
class CardTable:
    """A table of texts."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Heading | Paragraph | Items | CardTable


def as_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Return the document in Markdown; no text in it is taken for markup."""
    return "\n\n".join([f"# {for_markdown(title)}", *map(_markdown, blocks)]) + "\n"


def as_html(title: str, blocks: Sequence[Block]) -> str:
    """Return the document as a page."""
    return html_page(title, "\n".join(map(_html, blocks)))


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, depth):
            return f"{'#' * depth} {for_markdown(text)}"
        case Paragraph(text):
            return for_markdown(text)
        case Items(texts):
            return "\n".join(f"- {for_markdown(text)}" for text in texts)
        case CardTable(head, rows):
            lines = [head, ["---"] * len(head), *([for_markdown(cell) for cell in row] for row in rows)]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _html(block: Block) -> str:
    match block:
        case Heading(text, depth):
            return f"<h{depth}>{for_html(text)}</h{depth}>"
        case Paragraph(text):
            return f"<p>{for_html(text)}</p>"
        case Items(texts):
            return "<ul>" + "".join(f"<li>{for_html(text)}" for text in texts) + "</ul>"
        case CardTable(head, rows):
            return html_table(head, rows)
