"""The objectives that a run can be judged by."""

import ast

OBJECTIVES = {
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "val_macro_f1": "maximize",
    "val_top_k_accuracy": "maximize",
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
    """Return whether more of this is better: of what is no objective, for accuracies, F1 scores and AUC."""
    is_score = any(word in metric for word in ("accuracy", "f1", "auc"))
    return OBJECTIVES.get(metric.removeprefix("best_"), "maximize" if is_score else "minimize") == "maximize"
