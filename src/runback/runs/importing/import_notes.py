"""What an import has changed, left out and not turned, each with the number of its cell."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["changed", "left out", "by hand", "note"]

HEADINGS: dict[Kind, str] = {
    "changed": "changed",
    "left out": "left out",
    "by hand": "not turned, to be done by hand",
    "note": "to know",
}


@dataclass(frozen=True)
class Note:
    """One thing that an import says about a cell."""

    kind: Kind
    cell: int
    """The cell's number, counted from 1 over all cells of the notebook; 0: it is about the whole."""
    text: str

    def line(self) -> str:
        """Return it as a line."""
        return f"cell {self.cell}: {self.text}" if self.cell else self.text


@dataclass
class ImportNotes:
    """The notes of an import; each is made once."""

    notes: dict[Note, int] = field(default_factory=dict)
    """The notes, and how often the same thing was found in the cell."""

    def add(self, kind: Kind, cell: int, text: str) -> None:
        """Add a note."""
        note = Note(kind, cell, " ".join(text.split()))
        self.notes[note] = self.notes.get(note, 0) + 1

    def remove(self, part: str) -> None:
        """Remove the notes about what turned out not to be needed."""
        self.notes = {note: times for note, times in self.notes.items() if part not in note.text}

    def of(self, kind: Kind) -> list[Note]:
        """Return the notes of a kind, in the order of the cells."""
        return sorted((note for note in self.notes if note.kind == kind), key=lambda note: note.cell)

    def lines(self) -> Iterator[str]:
        """Yield them for a person, each kind with the number of its notes."""
        for kind, heading in HEADINGS.items():
            found = self.of(kind)
            if found:
                yield f"{heading} ({len(found)}):"
            for note in found:
                times = self.notes[note]
                yield f"  {note.line()}" + (f" ({times} times)" if times > 1 else "")
