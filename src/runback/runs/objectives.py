"""The objectives that a run can be judged by."""

import ast

OBJECTIVES = {
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "accuracy": "maximize",
    "loss": "minimize",
    "epoch_seconds": "minimize",
    "images_per_second": "maximize",
    "parameters": "minimize",
}
"""The better direction of each objective: of an epoch's metrics, and of the network's size."""

BEST_EPOCH = "best_epoch"
"""The metric with the number of the epoch whose weights a finished run has, from 1."""


def best(objective: str) -> str:
    """Return the name of the metric with an objective's value in that epoch, and in a sweep's best trial."""
    return f"best_{objective}"


def recorded_objectives(param: str | None) -> list[str]:
    """Return the objectives in a run's param training.objective: a name, or several in []."""
    if param is None or not param.startswith("["):
        return [param or "val_accuracy"]
    return [str(name) for name in ast.literal_eval(param)]


def higher_is_better(metric: str) -> bool:
    """Return whether more of this is better; of what is no objective that goes for accuracies only."""
    return OBJECTIVES.get(metric, "maximize" if "accuracy" in metric else "minimize") == "maximize"
