"""MLflow's server, whose pages begin with the training of models: by default they do with generative AI.

Who asks it has to know its token, and its artifacts are those of one folder. MLflow finds it by the entry
point `runback` among its apps.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Response
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app as server

from runback.tracking.mlflow_internals import replace_index
from runback.tracking.server.confined_artifacts import confine
from runback.tracking.server.token_gate import Gate, NoAssistant
from runback.tracking.server.ui_server import ARTIFACTS_VARIABLE, TOKEN_VARIABLE

PREFERENCES = """<script>
for (const [key, value] of Object.entries({
  "mlflow.workflowType_v1": '"machine_learning"',
  "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
})) localStorage.getItem(key) ?? localStorage.setItem(key, value);
</script>"""
"""A script that sets defaults of MLflow's pages in the browser's storage; a person's own choices stay."""


def _index(page: Callable[[], Any]) -> Any:
    file = Path(pages.static_folder or "") / "index.html"
    if not file.is_file():
        return page()
    return Response(file.read_text().replace("<head>", f"<head>{PREFERENCES}", 1), mimetype="text/html")


replace_index(pages, _index)

_token = os.environ[TOKEN_VARIABLE]
confine(Path(os.environ[ARTIFACTS_VARIABLE]))

app = Gate(server, _token) if _token else NoAssistant(server)
"""The application that MLflow serves: the entry point names it."""
