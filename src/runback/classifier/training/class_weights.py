"""Weights of the classes in the training loss, so that rare ones count as much as frequent ones."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from runback.errors import InputError
from runback.system.text.listing import nearest

if TYPE_CHECKING:
    from runback.classifier.data.dataset import Dataset

BALANCED = "balanced"

EXPECTED = (
    f"{BALANCED}, null, or numbers above 0: by name, as {{cat: 1, dog: 2.5}}, or a list for all classes"
)

LISTED = 12
"""Classes whose weights are said one by one; of more, those of the heaviest and the lightest."""


def class_weights(option: Any, train: "Dataset") -> tuple[float, ...] | None:
    """Return the weight of each class of `train` in the loss, by `training.class_weight`; None: all are 1.

    `balanced` is scikit-learn's n / (k x n_c): n images in all, k classes, n_c images of the class. In a
    mapping, classes that it does not name weigh 1; a list has one for each class, in their order. Errors:
    InputError.
    """
    if option is None:
        return None
    if isinstance(option, Mapping):
        return _named(option, train.class_names)
    if isinstance(option, list):
        return _listed(option, train.class_names)
    if option != BALANCED:
        raise _refused(option)
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    if not counts.all():
        without = train.class_names[int(counts.argmin())]
        raise InputError(
            f"training.class_weight={BALANCED} needs training images of each class; got none of {without!r}"
        )
    return tuple((len(train) / (len(counts) * counts)).tolist())


def _named(option: Mapping[Any, Any], class_names: tuple[str, ...]) -> tuple[float, ...]:
    weights = dict.fromkeys(class_names, 1.0)
    for key, weight in option.items():
        name = str(key)
        if name not in weights:
            match = nearest(name, class_names)
            hint = (
                f"; did you mean {match!r}?" if match else f"; the classes are {', '.join(class_names):.200}"
            )
            raise InputError(f"training.class_weight: there is no class {name!r:.80}{hint}")
        weights[name] = _weight(weight, {name: weight})
    return tuple(weights.values())


def _listed(option: list[Any], class_names: tuple[str, ...]) -> tuple[float, ...]:
    if len(option) != len(class_names):
        raise InputError(
            f"training.class_weight: expected a number for each of {len(class_names)} classes, which are "
            f"{', '.join(class_names):.200}; got {len(option)}"
        )
    return tuple(_weight(weight, option) for weight in option)


def _weight(weight: Any, option: Any) -> float:
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not math.isfinite(weight) or weight <= 0:
        raise _refused(option)
    return float(weight)


def _refused(option: Any) -> InputError:
    return InputError(f"training.class_weight must be {EXPECTED}; got {option!r:.80}")


def weights_note(option: Any, weights: tuple[float, ...], class_names: tuple[str, ...]) -> str:
    """Return what is said before training of these weights, which `option` has given."""
    named = list(zip(class_names, weights, strict=True))
    if len(named) > LISTED:
        named.sort(key=lambda one: -one[1])
        named = [*named[: LISTED // 2], ("...", math.nan), *named[-LISTED // 2 :]]
    listed = ", ".join(name if math.isnan(weight) else f"{name} {weight:.4g}" for name, weight in named)
    how = "n / (classes x images of the class)" if option == BALANCED else "as given"
    return f"training.class_weight: weights in the training loss ({how}): {listed}; val_loss is unweighted"
