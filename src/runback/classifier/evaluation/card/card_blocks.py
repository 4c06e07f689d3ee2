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
    return "\n\n".join([f"# {_in_line(title)}", *map(_markdown, blocks)]) + "\n"


def as_html(title: str, blocks: Sequence[Block]) -> str:
    """Return the document as a page."""
    return html_page(title, "\n".join(map(_html, blocks)))


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, depth):
            return f"{'#' * depth} {_in_line(text)}"
        case Paragraph(text):
            return _in_line(text)
        case Items(texts):
            return "\n".join(f"- {_in_line(text)}" for text in texts)
        case CardTable(head, rows):
            lines = [[*map(_in_line, head)], ["---"] * len(head), *([*map(_in_line, row)] for row in rows)]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _in_line(text: str) -> str:
    """Return a text without its own line breaks, and with nothing that Markdown takes for markup."""
    return for_markdown(" ".join(text.split()))


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
