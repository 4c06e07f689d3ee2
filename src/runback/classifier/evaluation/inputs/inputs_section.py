"""The part of an evaluation that says what the network looks at, and what it makes of the unknown."""

import keras
import numpy as np
from matplotlib.figure import Figure

from runback.classifier.data.reading.stored_images import StoredImages
from runback.classifier.evaluation.answers import Answers, predict_probabilities
from runback.classifier.evaluation.inputs.occlusion import occlusion_maps
from runback.classifier.evaluation.inputs.ood_images import N, ood_images
from runback.classifier.evaluation.measure import Measure
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable
from runback.statistics.roc_curve import area_under_roc
from runback.system.text.escape import for_picture

MAPPED = 6
"""Mistakes, and right answers, that are mapped."""

CONFIDENT = 0.9
"""The probability from which on an answer counts as confident."""


def inputs_section(network: keras.Model, answers: Answers, others: np.ndarray | None = None) -> Section:
    """Cover parts of images, and ask about images without any class; `others` are of another data set."""
    kinds = ood_images(_some(answers.dataset.images))
    if others is not None:
        kinds["another data set"] = others
    measures: dict[str, Measure] = {}
    rows = []
    for name, images in kinds.items():
        confidence = predict_probabilities(network, images, len(answers.class_names)).max(axis=1)
        sure = Measure.share(int((confidence >= CONFIDENT).sum()), len(images))
        area = Measure.of(area_under_roc(answers.confidence, confidence), len(answers) + len(images))
        key = name.replace(" ", "_")
        measures |= {f"{key}_confident": sure, f"{key}_auroc": area}
        rows.append((name, len(images), sure, area))
    mapped = {
        "What confident mistakes hang on": np.flatnonzero(~answers.correct),
        "What right answers hang on": np.flatnonzero(answers.correct),
    }
    return Section(
        name="inputs",
        title="Inputs",
        question="What does it look at, and does it know what it does not know?",
        measures=measures,
        notes=[
            f"Confident is an answer of at least {CONFIDENT:.0%}. AUROC is how well confidence tells these "
            "images from test images: 0.5 is not at all."
        ],
        tables=(
            SectionTable(
                "Out-of-distribution images", ("kind", "images", "answered confidently", "AUROC"), rows
            ),
        ),
        pictures=[
            SectionPicture(
                title,
                "Red: to cover this part makes the answer less likely; blue: more.",
                _maps(network, answers, answers.most_confident(images, MAPPED)),
            )
            for title, images in mapped.items()
            if len(images)
        ],
    )


def _some(images: np.ndarray | StoredImages) -> np.ndarray:
    """Return up to 1,000 images, drawn with a fixed seed: a folder's are in the order of their classes."""
    count = min(N, len(images))
    rows = np.sort(np.random.default_rng(0).choice(len(images), count, replace=False))
    return np.asarray(images[rows])


def _maps(network: keras.Model, answers: Answers, rows: np.ndarray) -> Figure:
    images = np.asarray(answers.dataset.images[rows])
    maps = occlusion_maps(network, images, answers.predicted[rows])
    figure = Figure(figsize=(1.9 * len(rows), 4.2), dpi=100, layout="constrained")
    places = figure.subplots(2, len(rows), squeeze=False)
    names = answers.class_names
    for column, (image, falls, row) in enumerate(zip(images, maps, rows, strict=True)):
        grey = image.mean(axis=-1)
        extent = max(1e-6, float(np.abs(falls).max()))
        places[0, column].imshow(image if image.shape[-1] == 3 else grey, cmap="gray", vmin=0, vmax=255)
        places[1, column].imshow(grey, cmap="gray", vmin=0, vmax=255)
        places[1, column].imshow(falls, cmap="RdBu_r", vmin=-extent, vmax=extent, alpha=0.6)
        title = f"{names[answers.labels[row]]:.12} → {names[answers.predicted[row]]:.12}"
        places[0, column].set_title(for_picture(title), fontsize=8)
        for one in places[:, column]:
            one.set_axis_off()
    return figure
