"""Networks of the same sweep that were trained on other images: what an attacker could compare with."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

from runback.classifier.build import load_data
from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import predict_answers
from runback.classifier.evaluation.privacy.membership import ReferenceLosses
from runback.classifier.evaluation.privacy.membership_section import References
from runback.errors import DataError, InputError
from runback.keras.networks.stored_network import load_network, stored_config
from runback.system.config import targets
from runback.system.config.written_config import resolved
from runback.tracking.read.find_runs import search_sweep
from runback.tracking.tags import KIND_TAG, SWEEP_TAG, TRAIN_HASH_TAG

if TYPE_CHECKING:
    from runback.cli.approval.evaluate_run import EvaluatedRun

MOST = 4
"""Networks that are asked at most."""


def references_of(run: "EvaluatedRun", members: Dataset, others: Dataset) -> References:
    """Return the losses of networks of a run's sweep that have not seen all of `members`.

    Those are trials with another `data.validation_seed`, fraction or limit; runs of the confirm stage are
    trained on the same images as what they confirm, and cannot say how hard an image is to who has not seen
    it. A network whose data or weights cannot be read any more, or that takes other images, is counted.
    Errors: StoreError.
    """
    sweep, train = run.tags.get(SWEEP_TAG), run.tags.get(TRAIN_HASH_TAG)
    if sweep is None or train is None:
        return References()
    candidates = [
        one.info.run_id
        for one in search_sweep(run.store, sweep)
        if one.info.status == "FINISHED"
        and one.data.tags.get(KIND_TAG) != "sweep"
        and one.data.tags.get(TRAIN_HASH_TAG) not in (None, train)
    ]
    losses: list[ReferenceLosses] = []
    unusable = 0
    for run_id in sorted(candidates):
        if len(losses) == MOST:
            break
        try:
            losses.append(_losses(run, run_id, members, others))
        except (InputError, DataError):
            unusable += 1
    return References(losses, unusable, len(candidates) - len(losses) - unusable)


def _losses(run: "EvaluatedRun", run_id: str, members: Dataset, others: Dataset) -> ReferenceLosses:
    config: Mapping[str, Any] = resolved(OmegaConf.create(stored_config(run.store, run_id)))
    declared = targets.declared_modules(run.layout.root)
    seen, _ = load_data(config["data"], declared, run.layout.data)
    if (seen.images.shape[1:], seen.class_names) != (members.images.shape[1:], members.class_names):
        raise InputError(f"run {run_id} takes other images, or tells other classes apart")
    network = load_network(run.store, run_id, declared)
    known = set(map(_digest, seen.images))
    unseen = np.array([_digest(image) not in known for image in members.images])
    of_members, of_others = (predict_answers(network, one).losses for one in (members, others))
    return ReferenceLosses(of_members, unseen, of_others)


def _digest(image: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()
