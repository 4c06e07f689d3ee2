"""The part of an evaluation that says what the network gives away about its training images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import TOO_FEW, value_of
from runback.classifier.evaluation.privacy.membership import (
    MembershipAttack,
    ReferenceLosses,
    class_attacks,
    membership_attack,
    reference_attack,
)
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable


@dataclass(frozen=True)
class References:
    """Networks of the same sweep that were trained on other images, and those that cannot be asked."""

    losses: Sequence[ReferenceLosses] = ()
    unusable: int = 0
    others: int = 0
    """Those beyond the first few, which were not asked."""


def membership_section(members: Answers, others: Answers, references: References) -> Section:
    """Attack by the loss: `members` are images of the training, `others` were not in it."""
    attack = membership_attack(members.losses, others.losses)
    measures = {
        "membership_auc": attack.auc,
        "membership_true_negative_rate": attack.true_negative_rate,
        **{_rate_name(rate): one for rate, one in attack.true_positive_rates.items() if one is not None},
    }
    compared = reference_attack(members.losses, others.losses, references.losses)
    if compared is not None:
        measures["membership_auc_with_references"] = compared
    classes = [*zip(members.class_names, class_attacks(members, others), strict=True)]
    return Section(
        name="membership",
        title="Membership",
        question="Can one tell that an image was in the training?",
        measures=measures,
        details={f"membership_auc_{name}": value_of(one.auc if one else None) for name, one in classes},
        facts={"classes": [_class_facts(name, one) for name, one in classes]},
        notes=[
            f"Told apart are {len(members):,} images of the training and {len(others):,} of the test split, "
            "by their loss alone. An AUC of 0.5 is chance; an attacker with more knowledge can do better.",
            *(
                f"{len(others):,} images are too few to say what is found at {rate:.1%} false positives."
                for rate, one in attack.true_positive_rates.items()
                if one is None
            ),
            _reference_note(references, is_made=compared is not None),
        ],
        tables=(
            SectionTable(
                "Classes",
                ("class", "AUC", "true negative rate"),
                [
                    (name, one.auc, one.true_negative_rate) if one else (name, TOO_FEW, "")
                    for name, one in classes
                ],
            ),
        ),
        pictures=(
            SectionPicture(
                "Images of the training found, against false positives",
                "Both axes are logarithmic; the line is chance.",
                _figure(members, others),
            ),
        ),
    )


def _rate_name(rate: float) -> str:
    return f"membership_tpr_at_{rate:g}_fpr".replace(".", "_")


def _class_facts(name: str, attack: MembershipAttack | None) -> dict[str, object]:
    if attack is None:
        return {"name": name, "auc": None, "true_negative_rate": None}
    rates = {_rate_name(rate): one and one.as_dict() for rate, one in attack.true_positive_rates.items()}
    return {
        "name": name,
        "auc": attack.auc.as_dict(),
        "true_negative_rate": attack.true_negative_rate.as_dict(),
        **rates,
    }


def _reference_note(references: References, *, is_made: bool) -> str:
    lost = f" {references.unusable} more could not be asked." if references.unusable else ""
    lost += f" {references.others} more were not asked." if references.others else ""
    count = len(references.losses)
    if is_made:
        return (
            f"With references, each loss is compared with those of {count} networks of its sweep, as far as "
            f"they were not trained on the image.{lost}"
        )
    if count:
        return f"{count} networks of its sweep were trained on too few other images to compare with.{lost}"
    return (
        "No network of its sweep that was trained on other images (another data.validation_seed) can be "
        f"compared with.{lost}"
    )


def _figure(members: Answers, others: Answers) -> Figure:
    kinds = np.repeat([1, 0], [len(members), len(others)])
    false, true, _ = roc_curve(kinds, -np.concatenate([members.losses, others.losses]))
    figure = Figure(figsize=(5, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.loglog(false[1:], true[1:])
    least = 1 / max(10, len(others))
    axes.loglog([least, 1], [least, 1], color="grey", linewidth=1)
    axes.set(
        xlabel="false positives: share of other images",
        ylabel="share of training images found",
        xlim=(least, 1),
        ylim=(least, 1),
    )
    return figure
