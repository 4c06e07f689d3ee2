"""The numbers that an evaluation may have: whoever names another one has mistyped it."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from runback.system.text.listing import did_you_mean

NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "quality": (
        *("accuracy", "balanced_accuracy", "macro_f1", "top_*_accuracy", "log_loss"),
        *("classes", "confusion", "confident_mistakes", "suspect_labels", "near_duplicates"),
    ),
    "calibration": (
        *("ece", "brier", "ece_with_temperature", "brier_with_temperature", "log_loss_with_temperature"),
        *("answered_share", "answered_accuracy"),
        *("bins", "temperature", "reliability", "accuracy_by_share", "threshold"),
    ),
    "groups": ("worst_*_accuracy", "*_gap", "*_equalized_odds_difference", "groupings"),
    "consistency": ("consistency", "ever_changed", "moved_accuracy", "moves", "classes"),
    "corruptions": (
        *("corruption_accuracy", "severity_*_accuracy", "relative_corruption_error"),
        *("corruptions", "relative_to"),
    ),
    "inputs": tuple(
        f"{kind}_{number}"
        for kind in ("noise", "blank", "clouds", "shuffled_pixels", "another_data_set")
        for number in ("confident", "auroc")
    ),
    "membership": (
        *("membership_auc", "membership_true_negative_rate", "membership_tpr_at_*_fpr"),
        *("membership_auc_with_references", "classes"),
    ),
    "cost": (
        *("training_seconds", "cpu_energy_joules", "gpu_energy_joules"),
        *("sweep_training_seconds", "sweep_cpu_energy_joules", "sweep_gpu_energy_joules"),
        "sweep_pruning_saved_seconds",
    ),
}
"""By section, the names of its numbers, and of what has numbers in it; `*` stands for any text."""

TOTALS: Final = ("n", "opened")
"""Numbers of the whole evaluation."""


def unknown_number(dotted: str) -> str | None:
    """Return what is wrong with a number's dotted name, as far as that is known before; None: nothing."""
    section, _, rest = dotted.partition(".")
    if section in TOTALS and not rest:
        return None
    if section not in NUMBERS:
        return did_you_mean(section, [*NUMBERS, *TOTALS], f"expected one of {', '.join((*NUMBERS, *TOTALS))}")
    name = rest.partition(".")[0]
    known = NUMBERS[section]
    if any(fnmatchcase(name, pattern) for pattern in known):
        return None
    return did_you_mean(name, known, f"expected one of {', '.join(known)}")
