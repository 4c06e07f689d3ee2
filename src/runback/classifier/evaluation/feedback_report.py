"""What people have said of a network's answers, counted, and scored where they left the image."""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from runback.classifier.evaluation.measure import Measure

Ask = Callable[[np.ndarray], np.ndarray]
"""Returns the likeliest class of each image, (n,), of uint8 (n, height, width, channels)."""


def feedback_report(
    entries: Iterable[Mapping[str, Any]],
    class_names: Sequence[str],
    shape: tuple[int, int, int],
    ask: Ask,
) -> dict[str, Any]:
    """Return the report: entries, how many dispute the answer, and from which class to which.

    Of an image that several entries are about, the last one counts. Where images came with them, `agrees` is
    the share of these that the network now answers as the correction says. Entries about classes that the
    network does not have are counted and left out.
    """
    last = {entry["sha256"]: entry for entry in entries}
    known = [one for one in last.values() if {one["answer"], one["correction"]} <= {*class_names}]
    disputed = [one for one in known if one["answer"] != one["correction"]]
    pairs = Counter((one["answer"], one["correction"]) for one in disputed)
    given = [one for one in known if one.get("image") is not None]
    report: dict[str, Any] = {
        "images": len(last),
        "left_out": len(last) - len(known),
        "disputed": Measure.share(len(disputed), len(known)).as_dict() if known else None,
        "with_image": len(given),
        "agrees": None,
        "corrections": [
            {"answer": answer, "correction": correction, "n": n}
            for (answer, correction), n in pairs.most_common()
        ],
    }
    if given:
        images = np.stack(
            [np.frombuffer(base64.b64decode(one["image"]), np.uint8).reshape(shape) for one in given]
        )
        corrections = np.array([list(class_names).index(one["correction"]) for one in given])
        right = int((ask(images) == corrections).sum())
        report["agrees"] = Measure.share(right, len(given)).as_dict()
    return report
