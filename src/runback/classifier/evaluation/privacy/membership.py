"""Attacks on membership: can one tell from the loss of an image whether the network was trained on it?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import LEAST_IMAGES, Measure
from runback.statistics.interval import Interval
from runback.statistics.roc_curve import area_under_roc, sensitivity_at

FALSE_POSITIVE_RATES = (0.01, 0.001)
"""The rates of false positives that the attack is measured at."""


@dataclass(frozen=True)
class MembershipAttack:
    """How well the loss tells images of the training, the positives, from others."""

    auc: Measure
    """The chance that an image of the training has a smaller loss than another one: 0.5 is none at all."""
    true_positive_rates: dict[float, Measure | None]
    """By false positive rate: the share of images of the training found; None where n is too small."""
    true_negative_rate: Measure
    """The share of other images whose loss is above the training's mean."""


@dataclass(frozen=True, eq=False)
class ReferenceLosses:
    """The losses of another network, on the same images."""

    members: np.ndarray
    """Of the images of the training, (m,)."""
    unseen: np.ndarray
    """Which of these it was not trained on, booleans of shape (m,)."""
    others: np.ndarray
    """Of the images that neither was trained on, (n,)."""


def membership_attack(members: np.ndarray, others: np.ndarray) -> MembershipAttack:
    """Attack by the losses of images of the training, (m,), and of images that were not in it, (n,).

    Sources: S. Yeom et al., "Privacy risk in machine learning", CSF 2018, whose threshold the true negative
    rate is at; N. Carlini et al., "Membership inference attacks from first principles", IEEE S&P 2022, who
    ask for rates at few false positives.
    """
    n = len(members) + len(others)

    def measured(interval: Interval | None) -> Measure | None:
        return None if interval is None else Measure.of(interval, n)

    above = int((others > members.mean()).sum())
    return MembershipAttack(
        auc=Measure.of(area_under_roc(-members, -others), n),
        true_positive_rates={
            rate: measured(sensitivity_at(-members, -others, rate)) for rate in FALSE_POSITIVE_RATES
        },
        true_negative_rate=Measure.share(above, len(others)),
    )


def reference_attack(
    members: np.ndarray, others: np.ndarray, references: Sequence[ReferenceLosses]
) -> Measure | None:
    """Return the AUC of an attack that knows how hard each image is, with its interval.

    The score is the mean loss of references that have not seen the image, less the network's own. A member is
    left out where all have seen it; another image is compared with those references that a member, drawn at
    random with a fixed seed, is compared with: else more of them would speak of it, and the scores would
    differ without a leak. None where fewer than 30 images remain. Source: L. Watson et al., "On the
    importance of difficulty calibration in membership inference attacks", ICLR 2022.
    """
    if not references:
        return None
    unseen = np.array([one.unseen for one in references])
    usable = np.flatnonzero(unseen.any(axis=0))
    if min(len(usable), len(others)) < LEAST_IMAGES:
        return None
    drawn = np.random.default_rng(0).choice(usable, len(others))
    of_members = _mean_where(np.array([one.members for one in references])[:, usable], unseen[:, usable])
    of_others = _mean_where(np.array([one.others for one in references]), unseen[:, drawn])
    area = area_under_roc(of_members - members[usable], of_others - others)
    return Measure.of(area, len(usable) + len(others))


def class_attacks(members: Answers, others: Answers) -> list[MembershipAttack | None]:
    """Return the attack on each class by itself, in their order; None where there are too few images."""
    made = []
    for place in range(len(members.class_names)):
        own, other = (one.losses[one.labels == place] for one in (members, others))
        made.append(membership_attack(own, other) if min(len(own), len(other)) >= LEAST_IMAGES else None)
    return made


def _mean_where(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the mean of each column over the rows that count, at least one in each."""
    return np.asarray(np.where(counted, values, 0.0).sum(axis=0) / counted.sum(axis=0))
