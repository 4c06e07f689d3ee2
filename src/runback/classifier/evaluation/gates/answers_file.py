"""The answers to each test image in a file: two runs are compared by them, the split stays closed."""

import hashlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from runback.classifier.evaluation.groups.metadata import Grouping
from runback.errors import InputError
from runback.system.text.excerpt import telling_line

if TYPE_CHECKING:  # it imports Keras, which whoever reads such a file does not need
    from runback.classifier.evaluation.answers import Answers

COLUMNS = ("image", "label", "answer", "confidence", "loss")

GROUP = "group:"
"""The beginning of the name of a column that says which group of a grouping an image belongs to."""


def write_answers(answers: "Answers", groupings: Sequence[Grouping] = ()) -> bytes:
    """Return a parquet file with a row for each test image, in order; classes and groups are texts.

    An image is known by the first 16 digits of the SHA-256 of its pixels.
    """
    names = answers.class_names
    columns = {
        "image": [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in answers.dataset.images],
        "label": pd.Categorical.from_codes(answers.labels, names),
        "answer": pd.Categorical.from_codes(answers.predicted, names),
        "confidence": answers.confidence,
        "loss": answers.losses,
    }
    columns |= {GROUP + one.name: pd.Categorical.from_codes(one.of_image, one.groups) for one in groupings}
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file, index=False)
    return file.getvalue()


def read_answers(content: bytes, what: str) -> pd.DataFrame:
    """Return the table in such a file, which `what` names. Errors: InputError for another file."""
    try:
        table = pd.read_parquet(io.BytesIO(content))
    except Exception as error:  # whatever pandas and pyarrow make of it
        raise InputError(f"{what} is damaged: {telling_line(error):.200}") from error
    own = [name for name in table.columns if not str(name).startswith(GROUP)]
    if own != [*COLUMNS] or not len(table):
        raise InputError(f"{what} is damaged: expected the columns {', '.join(COLUMNS)}")
    return table.astype({name: str for name in table.columns if name not in ("confidence", "loss")})
