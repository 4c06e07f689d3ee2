"""The numbers that an evaluation may have: whoever names another one has mistyped it."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from runback.system.text.listing import did_you_mean

MEASURES: Final[Mapping[str, tuple[str, ...]]] = {
    "quality": ("accuracy", "balanced_accuracy", "macro_f1", "top_*_accuracy", "log_loss"),
    "calibration": (
        *("ece", "brier", "ece_with_temperature", "brier_with_temperature", "log_loss_with_temperature"),
        *("coverage", "selective_accuracy"),
    ),
    "groups": ("worst_*_accuracy", "*_gap", "*_equalized_odds_difference"),
    "consistency": ("consistency", "ever_changed", "moved_accuracy"),
    "corruptions": ("corruption_accuracy", "severity_[1-5]_accuracy", "mean_corruption_error"),
    "inputs": tuple(
        f"{kind}_{number}"
        for kind in ("noise", "blank", "clouds", "shuffled_pixels", "another_data_set")
        for number in ("confident", "auroc")
    ),
    "membership": (
        *("membership_auc", "membership_true_negative_rate", "membership_auc_with_references"),
        *("membership_tpr_at_0_01_fpr", "membership_tpr_at_0_001_fpr"),
    ),
    "cost": (),
}
"""By section, the names of its measures; `*` stands for any text."""

_RATES: Final = ("selection_rate", "true_positive_rate", "false_positive_rate")

PARTS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "quality": {
        "classes": ("recall", "precision", "f1", "n"),
        "confusion": ("[0-9]*",),
        "suspect_labels": ("n",),
        "near_duplicates": ("n",),
    },
    "calibration": {
        "bins": ("",),
        "temperature": ("",),
        "reliability": ("n", "confidence", "accuracy"),
        "accuracy_by_share": ("share", "accuracy"),
        "threshold": ("wanted_accuracy", "confidence", "n", "coverage", "selective_accuracy"),
    },
    "groups": {
        "groupings": (
            *("worst_accuracy", "gap", "n", "accuracy", "p_value_holm", "equalized_odds_difference"),
            *(name for rate in _RATES for name in (f"{rate}.*", f"{rate}_difference")),
        ),
    },
    "consistency": {"moves": ("pixels", "changed"), "classes": ("ever_changed",)},
    "corruptions": {"corruptions": ("[1-5]",)},
    "membership": {
        "classes": ("auc", "true_negative_rate", *(one for one in MEASURES["membership"] if "tpr" in one)),
    },
    "cost": dict.fromkeys(
        (
            *("training_seconds", "cpu_energy_joules", "gpu_energy_joules"),
            *("sweep_training_seconds", "sweep_cpu_energy_joules", "sweep_gpu_energy_joules"),
            "sweep_pruning_saved_seconds",
        ),
        ("",),
    ),
}
"""By section and part, what the names of the numbers in it end with; "" where it is a number itself."""

ENDS: Final = ("value", "low", "high", "n")
"""The parts of a measure."""

TOTALS: Final = ("n", "opened")
"""Numbers of the whole evaluation."""


def unknown_number(dotted: str) -> str | None:
    """Return what is wrong with a number's dotted name, as far as that is known before; None: nothing."""
    section, _, rest = dotted.partition(".")
    if section in TOTALS and not rest:
        return None
    if section not in MEASURES:
        known = [*MEASURES, *TOTALS]
        return did_you_mean(section, known, f"expected one of {', '.join(known)}")
    name, _, inner = rest.partition(".")
    if any(fnmatchcase(name, pattern) for pattern in MEASURES[section]):
        return None if inner in ("", *ENDS) else did_you_mean(inner, ENDS, f"expected {', '.join(ENDS)}")
    parts = PARTS.get(section, {})
    if name not in parts:
        names = [*MEASURES[section], *parts]
        return did_you_mean(name, names, f"expected one of {', '.join(names)}")
    return None if _ends_well(inner, parts[name]) else f"expected {_shown(parts[name])} at its end"


def _ends_well(inner: str, leaves: tuple[str, ...]) -> bool:
    """Tell whether the name of a number in a part ends as one of these, or as an end of its interval."""
    candidates = [f".{inner}"] if inner else [""]
    candidates += [f".{inner}".removesuffix(f".{end}") for end in ENDS if f".{inner}".endswith(f".{end}")]
    patterns = ["*." + leaf if leaf else "" for leaf in leaves]
    return any(fnmatchcase(one, pattern) for one in candidates for pattern in patterns)


def _shown(leaves: tuple[str, ...]) -> str:
    return "nothing" if leaves == ("",) else " or ".join(leaves)
