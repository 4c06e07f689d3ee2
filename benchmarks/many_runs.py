"""Thousands of runs of one sweep in a project's store, as a sweep over CIFAR-10 would leave them.

They are written into MLflow's tables at once: through its client 5,000 would take a quarter of an hour.
"""

import contextlib
import hashlib
import random
import sqlite3
from collections.abc import Iterator
from typing import Any

from runback.tracking.layout import Layout
from runback.tracking.store import experiment_id, open_store

EPOCHS = 10

FIXED = {
    "augmentation.name": "flip_crop",
    "data.label_column": "label",
    "data.limit": "None",
    "data.n_train": "45000",
    "data.n_validation": "5000",
    "data.name": "cifar10",
    "data.path": "None",
    "data.validation_fraction": "0.1",
    "data.validation_seed": "0",
    "data.validation_split": "stratified",
    "model.l2": "0.0001",
    "model.name": "deep_cnn",
    "model.widths": "[32, 32, 64, 64]",
    "schedule.alpha": "0.01",
    "schedule.name": "cosine",
    "schedule.warmup_epochs": "1",
    "training.direction": "maximize",
    "training.epochs": str(EPOCHS),
    "training.objective": "val_accuracy",
    "training.patience": "None",
    "training.precision": "float32",
    "training.threads": "1",
}
"""Params that all runs share; `_params` draws nine more."""

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds")
CURVES += ("images_per_second",)
SYSTEM = ("cpu_utilization_percentage", "system_memory_usage_percentage", "disk_usage_percentage")
SYSTEM += ("system_memory_usage_megabytes", "disk_usage_megabytes")

NOTE = "**deep_cnn** (550,570 parameters) trained with **adam** on **cifar10**, 45,000 training images. " * 2


def fill(layout: Layout, sweep: str, count: int) -> None:
    """Put `count` runs into the store, each with 31 params, 20 tags and 12 metrics, 7 of them 10 epochs long.

    One in ten was pruned after its third epoch.
    """
    experiment = experiment_id(open_store(layout), sweep)
    with contextlib.closing(sqlite3.connect(layout.database)) as connection, connection:
        insert(connection.cursor(), layout, experiment, sweep, count)


def insert(
    cursor: Any, layout: Layout, experiment: str, sweep: str, count: int, placeholder: str = "?"
) -> None:
    """Insert the rows of `count` runs through a cursor of Python's database API."""
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in STATEMENTS}
    for number in range(count):
        for table, row in _rows(layout, experiment, sweep, number):
            rows[table].append(row)
    for table, statement in STATEMENTS.items():
        cursor.executemany(statement.replace("?", placeholder), rows[table])


STATEMENTS = {
    "runs": "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, "
    "lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', 'me', ?, ?, ?, 'active', ?, ?)",
    "params": "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)",
    "tags": "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)",
    "latest_metrics": "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) "
    "VALUES (?, ?, ?, ?, ?, FALSE)",
    "metrics": "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) "
    "VALUES (?, ?, ?, ?, ?, FALSE)",
}


def _rows(layout: Layout, experiment: str, sweep: str, number: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    chance = random.Random(number)  # noqa: S311 - no secret
    run = hashlib.sha256(f"{sweep} {number}".encode()).hexdigest()[:32]
    is_pruned = number % 10 == 9
    start = 1_760_000_000_000 + number * 60_000
    end = start + chance.randrange(30_000, 300_000)
    artifacts = f"{layout.artifacts.as_uri()}/{sweep}/{run}/artifacts"
    status = "KILLED" if is_pruned else "FINISHED"
    yield "runs", (run, f"trial {number}", status, start, end, artifacts, int(experiment))
    for key, value in (FIXED | _params(chance)).items():
        yield "params", (run, key, value)
    for key, value in _tags(sweep, number, is_pruned).items():
        yield "tags", (run, key, value)
    last = 3 if is_pruned else EPOCHS
    for key in CURVES:
        values = [chance.random() for _ in range(last)]
        for step, value in enumerate(values, 1):
            yield "metrics", (run, key, value, start + step * 1000, step)
        yield "latest_metrics", (run, key, values[-1], start + last * 1000, last)
    for key in SYSTEM:
        yield "latest_metrics", (run, f"system/{key}", 100 * chance.random(), end, last)


def _params(chance: random.Random) -> dict[str, str]:
    return {
        "model.conv_dropout": str(chance.uniform(0, 0.5)),
        "model.dense_dropout": str(chance.uniform(0, 0.6)),
        "model.dense_width": str(chance.choice([128, 256, 512])),
        "model.parameters": str(chance.choice([300_000, 550_570, 1_060_138])),
        "optimizer.name": (optimizer := chance.choice(["adam", "sgd", "rmsprop"])),
        "optimizer.learning_rate": str(10 ** chance.uniform(-4, -2)),
        **({"optimizer.momentum": "0.9"} if optimizer == "sgd" else {"optimizer.epsilon": "1e-07"}),
        "seed": str(chance.randrange(1000)),
        "training.batch_size": str(chance.choice([32, 64, 128])),
    }


def _tags(sweep: str, number: int, is_pruned: bool) -> dict[str, str]:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    same = hashlib.sha256(sweep.encode()).hexdigest()
    return {
        "mlflow.note.content": NOTE,
        "mlflow.parentRunId": same[:32],
        "mlflow.runName": f"trial {number}",
        "mlflow.source.git.commit": same[:40],
        "mlflow.source.name": "runback",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": "me",
        "runback.commit": same[:40],
        "runback.config_hash": digest,
        "runback.data_hash.train": same,
        "runback.data_hash.validation": same,
        "runback.device": f"GPU {number % 4}",
        "runback.dirty": "false",
        "runback.folder": f"sweeps/{sweep}/{number}",
        "runback.kind": "train",
        "runback.reproduced_by": digest[:32],
        "runback.resumed": "epoch 2, step 100",
        "runback.sweep": sweep,
        "runback.trial": str(number),
        "runback.reason" if is_pruned else "runback.n_test": "pruned after epoch 3" if is_pruned else "10000",
    }
