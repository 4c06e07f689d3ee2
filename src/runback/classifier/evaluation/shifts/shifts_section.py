"""The part of an evaluation that says what small changes of an image do."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.image_sheet import image_sheet
from runback.classifier.evaluation.measure import value_of
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable
from runback.classifier.evaluation.shifts.consistency import Consistency
from runback.classifier.evaluation.shifts.corruption_accuracy import CorruptionAccuracy, ReferenceAccuracies
from runback.classifier.evaluation.shifts.corruption_table import CORRUPTIONS, SEVERITIES, corrupted
from runback.classifier.evaluation.shifts.translation import DIRECTIONS, FURTHEST

SHEET = 25
"""The images that change their answers most that are shown."""


def consistency_section(found: Consistency) -> Section:
    """Say what moves by a few pixels do."""
    answers = found.answers
    names, n = answers.class_names, len(answers)
    unstable = found.least_stable(SHEET)
    times = found.changed.sum(axis=0)
    captions = [f"{names[answers.labels[one]]:.14}: {times[one]} of {len(found.changed)}" for one in unstable]
    by_move = {(move.direction, move.pixels): measure for move, measure in found.by_move()}
    return Section(
        name="consistency",
        title="Consistency",
        question="Does its answer stay when the image moves by a few pixels?",
        measures={
            "consistency": found.mean,
            "ever_changed": found.ever_changed,
            "moved_accuracy": found.accuracy,
        },
        details={
            f"ever_changed_{name}": value_of(measure)
            for name, measure in zip(names, found.by_class(), strict=True)
        },
        facts={
            "moves": [
                {"direction": direction, "pixels": pixels, "changed": measure.as_dict()}
                for (direction, pixels), measure in by_move.items()
            ],
            "classes": [
                {"name": name, "ever_changed": measure and measure.as_dict()}
                for name, measure in zip(names, found.by_class(), strict=True)
            ],
        },
        notes=[
            f"Each of {n:,} images is moved by 1 to {FURTHEST} pixels in {len(DIRECTIONS)} directions; what "
            "comes in repeats the edge. Consistency is the share of answers that stay as without a move."
        ],
        tables=(
            SectionTable(
                "Share of images whose answer changes",
                ("pixels", *DIRECTIONS),
                [
                    (pixels, *(by_move[direction, pixels] for direction in DIRECTIONS))
                    for pixels in range(1, FURTHEST + 1)
                ],
            ),
            SectionTable(
                "Share of images whose answer changes in any move",
                ("class", "changes"),
                list(zip(names, found.by_class(), strict=True)),
            ),
        ),
        pictures=(
            SectionPicture(
                f"The {len(unstable)} images that it is least sure to recognize again",
                "The class, and in how many moves the answer is another one.",
                image_sheet(np.asarray(answers.dataset.images[unstable]), captions),
            ),
        ),
    )


def corruptions_section(
    found: CorruptionAccuracy, answers: Answers, reference: ReferenceAccuracies | None = None
) -> Section:
    """Say what worse images do, relative to another run where there is one."""
    table = found.table()
    severities = found.at_severity()
    measures = {"corruption_accuracy": found.mean}
    measures |= {f"severity_{place}_accuracy": one for place, one in zip(SEVERITIES, severities, strict=True)}
    facts: dict[str, Any] = {
        "corruptions": {name: [one.as_dict() for one in row] for name, row in table.items()}
    }
    notes = [
        "The corruptions are those of CIFAR-10-C, written anew; frost is made, not photographed. Lengths "
        "grow with the images' side."
    ]
    if reference is not None:
        measures["mean_corruption_error"] = found.mean_corruption_error(reference.by_corruption)
        facts["relative_to"] = reference.run
        notes.append(
            f"The mean corruption error (mCE) is the mean of its errors over those of run {reference.run}."
        )
    return Section(
        name="corruptions",
        title="Corruptions",
        question="Does it still recognize worse images?",
        measures=measures,
        details={f"{name}_accuracy": sum(one.value for one in row) / len(row) for name, row in table.items()},
        facts=facts,
        notes=notes,
        tables=(
            SectionTable(
                "Accuracy",
                ("corruption", *(f"severity {severity}" for severity in SEVERITIES)),
                [(name, *(f"{one.value:.3f}" for one in row)) for name, row in table.items()],
            ),
        ),
        pictures=(
            SectionPicture(
                "Accuracy by severity", "Severity 0 is the image as it is.", _curves(found, answers)
            ),
            SectionPicture(
                "One image at severity 3",
                "As it is, and after each corruption.",
                _examples(answers),
            ),
        ),
    )


def _curves(found: CorruptionAccuracy, answers: Answers) -> Figure:
    figure = Figure(figsize=(9, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    clean = float(answers.correct.mean())
    kinds = [*dict.fromkeys(corruption.kind for corruption in CORRUPTIONS)]
    styles = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
    seen: dict[str, int] = dict.fromkeys(kinds, 0)
    for corruption, rows in zip(CORRUPTIONS, found.correct, strict=True):
        style = styles[seen[corruption.kind] % len(styles)]
        seen[corruption.kind] += 1
        axes.plot(
            (0, *SEVERITIES),
            [clean, *rows.mean(axis=1)],
            color=f"C{kinds.index(corruption.kind)}",
            linestyle=style,
            label=corruption.name.replace("_", " "),
        )
    axes.plot(
        (0, *SEVERITIES), [clean, *found.correct.mean(axis=(0, 2))], color="black", linewidth=3, label="mean"
    )
    axes.set(xlabel="severity", ylabel="accuracy", ylim=(0, 1))
    axes.legend(bbox_to_anchor=(1.02, 1), loc="upper left", fontsize=8)
    return figure


def _examples(answers: Answers) -> Figure:
    image = np.asarray(answers.dataset.images[:1])
    made = [image, *(corrupted(image, corruption, 3) for corruption in CORRUPTIONS)]
    captions = ["as it is", *(corruption.name.replace("_", " ") for corruption in CORRUPTIONS)]
    return image_sheet(np.concatenate(made), captions, columns=8)
