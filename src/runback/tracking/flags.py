"""Sets MLflow's flags when it is imported: MLflow reads some while *it* is, so this comes first."""

import logging
import os

FLAGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A pickle runs code when it is loaded; nothing here needs one.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # With MLflow's own values one call to a server that is down blocks for 247 s; with these for 2.7 s.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Its INFO lines ("Started monitoring system metrics.") would run through the progress display.
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""What is set unless the environment already says otherwise. Child processes inherit it."""

for _name, _value in FLAGS.items():
    os.environ.setdefault(_name, _value)

# A database that fails raises an exception, which is reported in one line; MLflow prints its traceback too.
logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: not record.exc_info)
# Whoever watches the machine during a run that just ended is told so by MLflow, every time.
logging.getLogger("mlflow.system_metrics.system_metrics_monitor").setLevel(logging.CRITICAL)
