"""Counts what people have said of a network's answers, and scores it where they left the image."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from runback.classifier.evaluation.measure import Measure
from runback.classifier.serving.feedback import FeedbackEntry, StoredFeedback, decoded

Ask = Callable[[np.ndarray], np.ndarray]
"""Returns the likeliest class of each image, (n,), of uint8 (n, height, width, channels)."""


def feedback_report(
    feedback: StoredFeedback, class_names: Sequence[str], shape: tuple[int, int, int], ask: Ask
) -> dict[str, Any]:
    """Return the report: entries, how many dispute the answer, and from which class to which.

    Of an image that several entries are about, the last one counts. Where images came with them, `agrees` is
    the share of these that the network now answers as the correction says. Entries about classes that the
    network does not have, and damaged lines, are counted and left out.
    """
    last = {entry.sha256: entry for entry in feedback.entries}
    known = [one for one in last.values() if {one.answer, one.correction} <= {*class_names}]
    disputed = [one for one in known if one.answer != one.correction]
    pairs = Counter((one.answer, one.correction) for one in disputed)
    given = _with_images(feedback.entries, known, shape)
    report: dict[str, Any] = {
        "images": len(last),
        "left_out": len(last) - len(known),
        "damaged_lines": feedback.damaged,
        "disputed": Measure.share(len(disputed), len(known)).as_dict() if known else None,
        "with_image": len(given),
        "agrees": None,
        "corrections": [
            {"answer": answer, "correction": correction, "n": n}
            for (answer, correction), n in pairs.most_common()
        ],
        "notes": [
            {"answer": one.answer, "correction": one.correction, "note": one.note}
            for one in known
            if one.note
        ],
    }
    if given:
        corrections = np.array([[*class_names].index(one.correction) for one, _ in given])
        correct = int((ask(np.stack([image for _, image in given])) == corrections).sum())
        report["agrees"] = Measure.share(correct, len(given)).as_dict()
    return report


def _with_images(
    entries: Sequence[FeedbackEntry], known: Sequence[FeedbackEntry], shape: tuple[int, int, int]
) -> list[tuple[FeedbackEntry, np.ndarray]]:
    """Return the entries of whose image somebody has left the pixels, be it with an earlier entry."""
    pixels = {one.sha256: decoded(one.image) for one in entries if one.image is not None and one.consent}
    found = ((one, pixels.get(one.sha256)) for one in known)
    return [
        (one, np.frombuffer(image, np.uint8).reshape(shape))
        for one, image in found
        if image is not None and len(image) == math.prod(shape)
    ]
