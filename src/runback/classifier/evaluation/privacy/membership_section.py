"""The part of an evaluation that says what the network gives away about its training images."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import Measure
from runback.classifier.evaluation.privacy.membership import (
    FALSE_RATES,
    LEAST,
    ReferenceLosses,
    class_attacks,
    membership_attack,
    reference_attack,
)
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable


def membership_section(
    members: Answers, others: Answers, references: Sequence[ReferenceLosses] = ()
) -> Section:
    """Attack by the loss: `members` are images of the training, `others` were not in it."""
    attack = membership_attack(members.losses, others.losses)
    measures: dict[str, Measure] = {
        "membership_auc": attack.area,
        "membership_true_negative_rate": attack.spared,
    }
    notes = [
        f"Told apart are {len(members):,} images of the training and {len(others):,} of the test "
        "split, by their loss "
        "alone. An AUC of 0.5 is chance; an attacker with other networks to compare with can do better."
    ]
    for rate in FALSE_RATES:
        found = attack.found[rate]
        if found is None:
            notes.append(
                f"{len(others):,} images are too few to say what is found at {rate:.1%} false alarms."
            )
        else:
            measures[f"membership_tpr_at_{rate:g}_fpr".replace(".", "_")] = found
    compared = reference_attack(members.losses, others.losses, references)
    if compared is not None:
        measures["membership_auc_with_references"] = compared
        notes.append(
            f"With references, each loss is compared with those of {len(references)} networks of its sweep, "
            "as far as they were not trained on the image."
        )
    else:
        notes.append(
            "No network of its sweep was trained on other images (another data.validation_seed): an attack "
            "that compares with such networks was not made."
        )
    classes = class_attacks(members, others)
    return Section(
        name="membership",
        title="Membership",
        question="Can one tell that an image was in the training?",
        measures=measures,
        facts={
            "classes": [
                {"name": name, "auc": one and one.area.as_dict()}
                for name, one in zip(members.class_names, classes, strict=True)
            ]
        },
        notes=notes,
        tables=(
            SectionTable(
                "Classes",
                ("class", "AUC", "true negative rate"),
                [
                    (name, one.area, one.spared) if one else (name, f"not enough images (below {LEAST})", "")
                    for name, one in zip(members.class_names, classes, strict=True)
                ],
            ),
        ),
        pictures=(
            SectionPicture(
                "Found against false alarms",
                "Both axes are logarithmic; the line is chance.",
                _figure(members, others),
            ),
        ),
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
        xlabel="false alarms: share of other images",
        ylabel="share of training images found",
        xlim=(least, 1),
        ylim=(least, 1),
    )
    return figure
