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


def recorded_objectives(param: str | None) -> list[str]:
    """Return the objectives in a run's param training.objective: a name, or several in []."""
    if param is None or not param.startswith("["):
        return [param or "val_accuracy"]
    return [str(name) for name in ast.literal_eval(param)]


def higher_is_better(metric: str) -> bool:
    """Return whether more of this is better; of what is no objective that goes for accuracies only."""
    otherwise = "maximize" if "accuracy" in metric else "minimize"
    return OBJECTIVES.get(metric.removeprefix("best_"), otherwise) == "maximize"
