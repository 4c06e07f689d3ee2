"""Takes the one line that says what is wrong out of the many that Keras raises."""

from runback.system.text.excerpt import telling_line
from runback.tracking.mlflow_limits import first_line


def keras_message(error: BaseException) -> str:
    """Return what an exception of Keras, or of a layer's own code, says: one line, without secrets."""
    return first_line(telling_line(error))
