"""The answers to each test image in a file: two runs are compared by them, the split stays closed."""

import io

import numpy as np
import pandas as pd

from runback.errors import InputError

COLUMNS = ("label", "answer", "confidence", "loss")


def write_answers(
    labels: np.ndarray, chosen: np.ndarray, confidence: np.ndarray, losses: np.ndarray, names: tuple[str, ...]
) -> bytes:
    """Return a parquet file with a row for each test image, in order; classes are texts."""
    classes = np.array(names, object)
    table = pd.DataFrame(
        {
            "label": pd.Categorical(classes[labels], names),
            "answer": pd.Categorical(classes[chosen], names),
            "confidence": confidence.astype(np.float32),
            "loss": losses.astype(np.float32),
        }
    )
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def read_answers(content: bytes, what: str) -> pd.DataFrame:
    """Return the table in such a file, which `what` names. Errors: InputError for another file."""
    try:
        table = pd.read_parquet(io.BytesIO(content))
    except (OSError, ValueError) as error:
        raise InputError(f"{what} is damaged: {' '.join(str(error).split()):.200}") from error
    if [*table.columns] != [*COLUMNS]:
        raise InputError(f"{what} is damaged: expected the columns {', '.join(COLUMNS)}")
    return table.astype({"label": str, "answer": str})
