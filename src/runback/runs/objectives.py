"""The objectives that a run can be judged by."""

import ast
from collections.abc import Sequence

from runback.errors import InputError

DIRECTIONS = {"max": "maximize", "min": "minimize", "maximize": "maximize", "minimize": "minimize"}

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
    "test_membership_auc": "minimize",
    "test_membership_auc_with_references": "minimize",
    "test_coverage": "maximize",
}
"""The better direction of each objective: of an epoch's metrics, of the network's size, and of those of an
evaluation whose names say it wrong."""


SCORES = frozenset(
    {"accuracy", "acc", "auc", "f1", "precision", "recall", "r2", "iou", "score", "auroc", "consistency"}
)
"""Words in the names of metrics that are better when higher, as in `val_f1_score`; all others are losses."""


def recorded_objectives(param: str | None) -> list[str]:
    """Return the objectives in a run's param training.objective: a name, or several in []."""
    if param is None or not param.startswith("["):
        return [param or "val_accuracy"]
    return [str(name) for name in ast.literal_eval(param)]


def directed(
    objective: str | Sequence[str] | None, direction: str | Sequence[str] | None, what: str
) -> dict[str, str]:
    """Return the better direction of each objective: the one that is given, else what its name says.

    Errors: InputError for directions that do not fit; `what` opens the message.
    """
    names = [objective] if isinstance(objective, str) else list(objective or ())
    if not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{what}: objective must be a metric's name, or several; got {objective!r:.100}")
    given = [direction] if isinstance(direction, str) else list(direction or ())
    found = given or ["max" if higher_is_better(name) else "min" for name in names]
    if len(found) != len(names) or not set(found) <= set(DIRECTIONS):
        raise InputError(
            f"{what}: direction must be maximize or minimize, one for each objective; got "
            f"{', '.join(map(str, given))}"
        )
    return {name: DIRECTIONS[one] for name, one in zip(names, found, strict=True)}


def better_direction(metric: str) -> str:
    """Return maximize or minimize, see `higher_is_better`."""
    return "maximize" if higher_is_better(metric) else "minimize"


def higher_is_better(metric: str) -> bool:
    """Return whether more of this is better; of what is no objective, by its name's words: see SCORES."""
    name = metric.removeprefix("best_")
    is_score = any(word in SCORES for word in name.split("_"))
    return OBJECTIVES.get(name, "maximize" if is_score else "minimize") == "maximize"
