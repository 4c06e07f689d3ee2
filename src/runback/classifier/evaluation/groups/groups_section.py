"""The part of an evaluation that says whether every group is served as well."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.groups.group_quality import (
    FALSE_POSITIVE,
    SELECTION,
    TRUE_POSITIVE,
    ClassRates,
    GroupingQuality,
    grouping_quality,
)
from runback.classifier.evaluation.groups.metadata import (
    CLASS,
    PAIRED,
    Grouping,
    by_class,
    grouping_keys,
    pairs_of,
)
from runback.classifier.evaluation.measure import LEAST_IMAGES, TOO_FEW, Measure, value_of
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable
from runback.system.text.escape import for_picture

DRAWN = 40
"""The most groups that a picture has room for."""

WIDEST = 12
"""The most groups whose rates of each class are on the page; all are in evaluation.json."""


def groups_section(answers: Answers, columns: Sequence[Grouping], notes: Sequence[str] = ()) -> Section:
    """Measure each class, each group of these groupings, and the pairs of all."""
    single = [by_class(answers.labels, answers.class_names), *columns]
    found = [grouping_quality(answers, one) for one in single]
    pairs = pairs_of(single[:PAIRED]) if columns else []
    found += [
        grouping_quality(answers, one, with_rates=not one.name.startswith(f"{CLASS} and ")) for one in pairs
    ]
    keys = grouping_keys([one.grouping.name for one in found])
    return Section(
        name="groups",
        title="Groups",
        question="Is it as good for every group?",
        measures={
            name: measure
            for key, one in zip(keys, found, strict=True)
            for name, measure in _measures(key, one).items()
        },
        details=_details(keys[1 : len(single)], found[1 : len(single)]),
        facts={"groupings": [_facts(one) for one in found]},
        notes=[*notes, *_notes(found, len(single))],
        tables=[table for one in found for table in _tables(one)],
        pictures=[
            SectionPicture(
                f"Accuracy by {one.grouping.name}",
                "With 95 % intervals; the line is the accuracy of all images.",
                _figure(one, float(answers.correct.mean())),
            )
            for one in found
            if 2 <= len(one.groups) - len(one.too_small) <= DRAWN
        ],
    )


def _details(keys: Sequence[str], found: Sequence[GroupingQuality]) -> dict[str, float | None]:
    return {
        f"{key}_accuracy_{group.name}": value_of(group.accuracy)
        for key, one in zip(keys, found, strict=True)
        for group in one.groups
    }


def _measures(key: str, one: GroupingQuality) -> dict[str, Measure]:
    measures: dict[str, Measure] = {}
    if one.worst_accuracy is not None and one.gap is not None:
        measures |= {f"worst_{key}_accuracy": one.worst_accuracy, f"{key}_gap": one.gap}
    odds = [rates.equalized_odds_difference for rates in one.classes]
    largest = max((each for each in odds if each is not None), key=lambda each: each.value, default=None)
    if largest is not None:
        measures[f"{key}_equalized_odds_difference"] = largest
    return measures


def _notes(found: Sequence[GroupingQuality], single: int) -> list[str]:
    notes = [f"Pairs are of the first {PAIRED} groupings, of {single}."] if single > PAIRED else []
    notes.append(
        "The interval of the worst group, and of the largest gap, is for whichever group is worst in truth: "
        "the one that looks worst has been unlucky as well, so its own share may lie outside."
    )
    for one in found:
        if one.classes:
            measured = sum(rates.equalized_odds_difference is not None for rates in one.classes)
            notes.append(
                f"By {one.grouping.name}: the equalized odds difference is the largest of the {measured} of "
                f"{len(one.classes)} classes that two groups have {LEAST_IMAGES} images of; its interval is "
                "that of this class."
            )
    notes += [
        f"Worst by {one.grouping.name}: {one.worst}, {one.worst_accuracy.value:.1%}."
        for one in found
        if one.worst is not None and one.worst_accuracy is not None
    ]
    return notes


def _facts(one: GroupingQuality) -> dict[str, object]:
    return {
        "name": one.grouping.name,
        "worst": one.worst,
        "worst_accuracy": one.worst_accuracy and one.worst_accuracy.as_dict(),
        "gap": one.gap and one.gap.as_dict(),
        "groups": [
            {
                "name": group.name,
                "n": group.n,
                "accuracy": group.accuracy and group.accuracy.as_dict(),
                "p_value_holm": group.p_value,
            }
            for group in one.groups
        ],
        "classes": [_rate_facts(rates) for rates in one.classes],
    }


def _rate_facts(rates: ClassRates) -> dict[str, object]:
    odds = rates.equalized_odds_difference
    return {
        "name": rates.class_name,
        **{rate: dict(values) for rate, values in rates.rates.items()},
        **{f"{rate}_difference": one.as_dict() for rate, one in rates.differences.items()},
        "equalized_odds_difference": odds and odds.as_dict(),
    }


def _tables(one: GroupingQuality) -> list[SectionTable]:
    rows = [
        (
            group.name,
            group.n,
            group.accuracy or TOO_FEW,
            "" if group.p_value is None else f"{group.p_value:.3g}",
        )
        for group in one.groups
    ]
    head = (one.grouping.name, "images", "accuracy", "p against all others (Holm)")
    tables = [SectionTable(f"By {one.grouping.name}", head, rows)]
    if one.classes and len(one.groups) <= WIDEST:
        differences = [
            (
                rates.class_name,
                *(
                    rates.differences.get(rate, TOO_FEW)
                    for rate in (SELECTION, TRUE_POSITIVE, FALSE_POSITIVE)
                ),
            )
            for rates in one.classes
        ]
        head = ("class", "selection rate", "true positive rate (recall)", "false positive rate")
        title = f"Largest differences between groups of {one.grouping.name}"
        tables.append(SectionTable(title, head, differences))
        recalls = [
            (
                rates.class_name,
                *(_share(rates.rates[TRUE_POSITIVE].get(name)) for name in one.grouping.groups),
            )
            for rates in one.classes
        ]
        if any(any(row[1:]) for row in recalls):
            title = f"Recall of each class by {one.grouping.name}"
            tables.append(SectionTable(title, ("class", *one.grouping.groups), recalls))
    return tables


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _figure(one: GroupingQuality, overall: float) -> Figure:
    groups = [(group.name, group.accuracy) for group in one.groups if group.accuracy is not None]
    figure = Figure(figsize=(6.5, 1.2 + 0.28 * len(groups)), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.axvline(overall, color="grey", linewidth=1)
    for place, (_, accuracy) in enumerate(groups):
        axes.plot(np.array([accuracy.low, accuracy.high], float), [place, place], color="tab:blue")
        axes.plot(accuracy.value, place, marker="o", color="tab:blue")
    axes.set_yticks(range(len(groups)), [for_picture(f"{name:.40}") for name, _ in groups])
    axes.invert_yaxis()
    axes.set_xlabel("accuracy")
    return figure
