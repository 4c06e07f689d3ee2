"""Opens what a run was trained on and is tested with, and measures its network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from runback.classifier.build import load_data
from runback.classifier.data.dataset import Dataset
from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.reading.data_summary import DataSummary
from runback.classifier.evaluation.network_evaluation import Evaluation, EvaluationOptions, Splits, evaluate
from runback.classifier.evaluation.own_images import own_images
from runback.classifier.train_config import SPLIT_KNOBS
from runback.cli.approval.reference_networks import references_of
from runback.cli.approval.unstored_evaluation import OwnImages
from runback.errors import DataError
from runback.keras.networks.stored_network import load_network, stored_config
from runback.runs.schema import RECORD, read_record
from runback.system.config import targets
from runback.system.config.written_config import refuse_left_out, resolved
from runback.tracking.layout import Layout
from runback.tracking.read.find_runs import artifact_files, read_bytes
from runback.tracking.store import Store
from runback.tracking.tags import TEST_IMAGES_TAG, TEST_OPENED_TAG, TRAIN_HASH_TAG, VALIDATION_HASH_TAG
from runback.tracking.write.run_writer import RunWriter


@dataclass(frozen=True)
class EvaluatedRun:
    """A run whose network is evaluated."""

    store: Store
    layout: Layout
    id: str
    tags: Mapping[str, str]

    @property
    def openings(self) -> int:
        """The number of times that its test split has been opened."""
        text = self.tags.get(TEST_OPENED_TAG, "")
        return int(text) if text.isascii() and text.isdigit() else int(TEST_IMAGES_TAG in self.tags)


@dataclass(frozen=True, eq=False)
class OpenedSplits:
    """The images that a run's network was trained on and is tested with, and the run's config."""

    splits: Splits
    names: Sequence[str]
    """Of the images to test on, in their order: of their files, or numbers from 0."""
    has_files: bool
    config: Mapping[str, Any]
    declared: tuple[str, ...]
    """The modules that the project lets a config name."""


def open_splits(run: EvaluatedRun, own: OwnImages | None) -> OpenedSplits:
    """Return a run's images, those to test on in place of the test split where they are one's own.

    Errors: InputError, DataError where they are not those that the run was trained with, or a class has none.
    """
    config = stored_config(run.store, run.id)
    refuse_left_out({"data": config["data"]})
    config = resolved(OmegaConf.create(config))
    declared = targets.declared_modules(run.layout.root)
    train, validation = load_data(config["data"], declared, run.layout.data)
    _refuse_other_data({TRAIN_HASH_TAG: train, VALIDATION_HASH_TAG: validation}, run.tags)
    if own is None:
        _refuse_other_tests(DataSummary.of(train, validation, ""), run)
        spec = {key: value for key, value in config["data"].items() if key not in SPLIT_KNOBS}
        test = targets.build(spec, where="data", declared=declared, split="test", cache=run.layout.data)
        names, has_files = _names(train, len(test))
    else:
        shape = tuple(train.images.shape[1:])
        test, names = own_images(own.path, shape, train.class_names, run.layout.data)  # type: ignore[arg-type]
        has_files = names != [str(row) for row in range(len(names))]
    _refuse_absent_classes(test)
    return OpenedSplits(Splits(train, validation, test), names, has_files, config, declared)


def measure_run(
    run: EvaluatedRun, opened: OpenedSplits, options: EvaluationOptions, tick: Callable[[str], None]
) -> Evaluation:
    """Measure a run's network on images to test on; where these are the test split, that is counted first.

    `options.with_membership` says that they are. Errors: InputError, StoreError.
    """
    network = load_network(run.store, run.id, opened.declared)
    if options.with_membership:  # from here on, somebody knows how good it is
        writer = RunWriter(run.store, run.id)
        writer.set_tags({TEST_OPENED_TAG: str(run.openings + 1)})
        writer.deliver()
    options = replace(options, references=partial(references_of, run))
    return evaluate(network, opened.splits, options, tick)


def _names(train: Dataset, n: int) -> tuple[Sequence[str], bool]:
    """Return the names of the test images, and whether they are those of files."""
    names = None if train.origin is None else train.origin.report.test_names
    return ([str(row) for row in range(n)], False) if names is None or len(names) != n else (names, True)


def _refuse_absent_classes(test: Dataset) -> None:
    counts = np.bincount(test.labels, minlength=len(test.class_names))
    absent = [name for name, count in zip(test.class_names, counts, strict=True) if not count]
    if absent:
        raise DataError(
            f"the images to test on have none of {', '.join(map(repr, absent[:5]))}: nothing could be said "
            f"about {len(absent)} of {len(test.class_names)} classes"
        )


def _refuse_other_data(splits: Mapping[str, Dataset], tags: Mapping[str, str]) -> None:
    """Raise DataError, with the test split unopened, where the run was trained on other images than these.

    `splits` are by the tags that hold their hashes.
    """
    for tag, dataset in splits.items():
        recorded, now = tags.get(tag), content_hash(dataset)
        if recorded not in (None, now):
            raise DataError(
                "the images or labels are not those that the run was trained on, and its test split stays "
                f"closed: {tag.rpartition('.')[2]} content: recorded {recorded[:12]}, now {now[:12]}"
            )


def _refuse_other_tests(now: DataSummary, run: EvaluatedRun) -> None:
    """Raise DataError where the test images are not those that were checked before the run was trained."""
    if RECORD not in artifact_files(run.store, run.id):
        return
    recorded = read_record(read_bytes(run.store, run.id, RECORD), RECORD).get("data_summary", {})
    before = recorded.get("test_sha256")
    if before is not None and before != now.test_sha256:
        raise DataError(
            "the test images or labels are not those that there were when the run was trained, and the test "
            "split stays closed: put them back, or train again"
        )
