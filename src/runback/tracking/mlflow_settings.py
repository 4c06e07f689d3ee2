"""Sets MLflow's flags when it is imported: MLflow reads some while *it* is, so this comes first."""

import contextlib
import logging
import os
from collections.abc import Iterator

from runback.system.home_folder import name_home

FLAGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A pickle runs code when it is loaded; nothing here needs one.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # With MLflow's own values one call to a server that is down blocks for 247 s; with these for up to 1 s,
    # and for 20 s where it hangs.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Behind a redirect is another server than the one that was named.
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
    # Its INFO lines ("Started monitoring system metrics.") would run through the progress display.
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Nor shall the addresses of a server's pages stand among a command's results.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Variables that are set unless the environment has them already. Child processes inherit them."""

name_home()
for _name, _value in FLAGS.items():
    os.environ.setdefault(_name, _value)


@contextlib.contextmanager
def one_try() -> Iterator[None]:
    """Send each request once while the body runs: a server that hangs would create a thing twice later."""
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    before = os.environ.get(name, FLAGS[name])
    os.environ[name] = "0"
    try:
        yield
    finally:
        os.environ[name] = before


# A database that fails raises an exception, which is reported in one line; MLflow prints its traceback too.
logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: not record.exc_info)
# A server that is away is told of once, not at every try.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
