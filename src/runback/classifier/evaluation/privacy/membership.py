"""Can one tell from the loss of an image whether the network was trained on it?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import Measure
from runback.statistics.paired_seeds import Interval
from runback.statistics.roc_curve import area_under_roc, sensitivity_at

FALSE_RATES = (0.01, 0.001)
"""The rates of false alarms that the attack is measured at."""

LEAST = 30
"""Images of a class, in each split, below which it is not measured by itself."""


@dataclass(frozen=True)
class MembershipAttack:
    """How well the loss tells images of the training from others."""

    area: Measure
    """The chance that an image of the training has a smaller loss than another one: 0.5 is none at all."""
    found: dict[float, Measure | None]
    """By rate of false alarms: the share of images of the training found; None where n is too small."""
    spared: Measure
    """The true negative rate: the share of other images whose loss is above the training's mean."""


@dataclass(frozen=True, eq=False)
class ReferenceLosses:
    """The losses of another network, on the same images."""

    members: np.ndarray
    """Of the images of the training, (m,)."""
    unseen: np.ndarray
    """Which of these it was not trained on, booleans of shape (m,)."""
    others: np.ndarray
    """Of the images that neither was trained on, (n,)."""


def reference_attack(
    members: np.ndarray, others: np.ndarray, references: Sequence[ReferenceLosses]
) -> Measure | None:
    """Return the area of an attack that knows how hard each image is: AUC, with its interval.

    The score is the mean loss of references that have not seen the image, less the network's own. Images that
    all have seen are left out; None where fewer than 30 remain. Source: L. Watson et al., "On the importance
    of difficulty calibration in membership inference attacks", ICLR 2022.
    """
    if not references:
        return None
    unseen = np.array([one.unseen for one in references])
    usable = unseen.any(axis=0)
    if usable.sum() < LEAST or len(others) < LEAST:
        return None
    hard = np.where(unseen, [one.members for one in references], 0.0).sum(axis=0)
    hard = hard[usable] / unseen.sum(axis=0)[usable]
    hard_others = np.mean([one.others for one in references], axis=0)
    area = area_under_roc(hard - members[usable], hard_others - others)
    return Measure.of(area, int(usable.sum()) + len(others))


def membership_attack(members: np.ndarray, others: np.ndarray) -> MembershipAttack:
    """Attack by the losses of images of the training, (m,), and of images that were not in it, (n,).

    Sources: S. Yeom et al., "Privacy risk in machine learning", CSF 2018, whose threshold the true negative
    rate is at; N. Carlini et al., "Membership inference attacks from first principles", IEEE S&P 2022, who
    ask for rates at few false alarms.
    """
    n = len(members) + len(others)

    def measured(interval: Interval | None) -> Measure | None:
        return None if interval is None else Measure.of(interval, n)

    above = int((others > members.mean()).sum())
    return MembershipAttack(
        area=Measure.of(area_under_roc(-members, -others), n),
        found={rate: measured(sensitivity_at(-members, -others, rate)) for rate in FALSE_RATES},
        spared=Measure.share(above, len(others)),
    )


def class_attacks(members: Answers, others: Answers) -> list[MembershipAttack | None]:
    """Return the attack on each class by itself, in their order; None where there are too few images."""
    found = []
    for place in range(len(members.class_names)):
        own, other = (one.losses[one.labels == place] for one in (members, others))
        found.append(membership_attack(own, other) if min(len(own), len(other)) >= LEAST else None)
    return found
