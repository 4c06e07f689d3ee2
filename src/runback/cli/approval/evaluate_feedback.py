"""`runback evaluate RUN --feedback`: scores what people have said of a run's answers."""

import json
from typing import Any

from runback.errors import InputError, StoreError
from runback.runs.schema import FEEDBACK, RECORD, read_record
from runback.runs.tasks.hydra_app import enter_project
from runback.system.text.quiet_stderr import silenced
from runback.tracking.layout import Layout
from runback.tracking.read.find_runs import read_bytes
from runback.tracking.store import Store
from runback.tracking.write.run_writer import RunWriter


def evaluate_feedback(store: Store, layout: Layout, run_id: str) -> dict[str, Any]:
    """Score what people have said of a run's answers, log it, and return the report.

    Errors: InputError where nobody has said anything, StoreError.
    """
    from runback.classifier.evaluation.feedback_report import feedback_report
    from runback.classifier.serving.feedback import read_feedback

    file = layout.inside(layout.feedback(run_id), f"the feedback on run {run_id}")
    if not file.exists():
        raise InputError(f"nobody has said anything of the answers of run {run_id}: runback serve --feedback")
    try:
        feedback = read_feedback(file)
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}") from error
    train = read_record(read_bytes(store, run_id, RECORD), RECORD)["data"]["train"]

    def ask(images: Any) -> Any:
        enter_project(layout)
        with silenced():
            from runback.keras.networks.stored_network import load_network
            from runback.system.config.targets import declared_modules

            network = load_network(store, run_id, declared_modules(layout.root))
            return network.predict(images, verbose=0).argmax(axis=1)

    shape = tuple(train["shape"][1:])
    report = feedback_report(feedback, tuple(train["class_counts"]), shape, ask)  # type: ignore[arg-type]
    writer = RunWriter(store, run_id)
    writer.log_text(json.dumps(report, indent=1) + "\n", FEEDBACK)
    shares = {f"feedback_{name}": report[name] for name in ("disputed", "agrees")}
    writer.log_metrics({name: share["value"] for name, share in shares.items() if share})
    writer.deliver()
    return report
