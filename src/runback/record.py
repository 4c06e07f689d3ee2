"""What a training run records: params, tags and artifacts, before its first epoch and after its last."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runback.tracking.layout import Layout, project_root

if TYPE_CHECKING:
    from runback.prepare import Prepared
    from runback.sweeping.trial import Trial
    from runback.tracking.run import Run

PREVIEWED = 8
"""Training images on the preview sheet of an augmentation."""

GROUPS = ("model", "optimizer", "schedule", "augmentation", "data")


def start(cfg: DictConfig, prepared: "Prepared", folder: Path, trial: "Trial | None") -> "Run":
    """Start the MLflow run, a child of the sweep's run inside a sweep. Errors: StoreError."""
    from runback.tracking.run import start_run
    from runback.tracking.store import open_store

    root = project_root()
    store = open_store(Layout(root), is_prepared=trial is not None and trial.parent is not None)
    choices = HydraConfig.get().runtime.choices
    names = {group: str(choices.get(group)) for group in GROUPS}
    run = start_run(
        store,
        experiment=cfg.tracking.experiment,
        name=f"{names['model']} {names['optimizer']}" if trial is None else f"trial {trial.number}",
        folder=folder,
        params=_params(cfg, prepared, names),
        tags=_tags(cfg, prepared, root, trial),
        description=_description(prepared, names),
        parent=None if trial is None else trial.parent,
    )
    if trial is not None:
        trial.attribute("run_id", run.id)
        trial.attribute("threads", str(prepared.threads))
    return run


def before_training(run: "Run", cfg: DictConfig, prepared: "Prepared") -> None:
    """Log what the run is made from: config, overrides, and what its augmentation does to images."""
    run.log_text(resolved_yaml(cfg, prepared), "config.yaml")
    run.log_text(OmegaConf.to_yaml(HydraConfig.get().overrides.task), "overrides.yaml")
    if prepared.augmentation is not None:
        from runback.augmentation.preview import preview_sheet

        run.log_image(
            preview_sheet(prepared.augmentation, prepared.train.images[:PREVIEWED]), "augmentation.png"
        )


def after_training(run: "Run", prepared: "Prepared", history: Sequence[Mapping[str, float]]) -> None:
    """Log what came out: curves and the trained network."""
    from runback.tracking.model import log_network
    from runback.training.curves import plot_curves

    run.log_figure(plot_curves([dict(metrics) for metrics in history]), "curves.png")
    log_network(run, prepared.network, prepared.train.class_names)


def resolved_yaml(cfg: DictConfig, prepared: "Prepared") -> str:
    """Return the config that trains this run again: resolved, with the number of threads it had."""
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    config["training"]["threads"] = prepared.threads
    return OmegaConf.to_yaml(OmegaConf.create(config))


def _params(cfg: DictConfig, prepared: "Prepared", names: Mapping[str, str]) -> dict[str, object]:
    """Return what a person wants as columns: choices by name, scalars by dotted key."""
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    config.pop("tracking")
    config["training"]["threads"] = prepared.threads
    params: dict[str, object] = {f"{group}.name": name for group, name in names.items()}
    params |= dict(_scalars(config))
    params["data.n_train"] = len(prepared.train)
    params["data.n_validation"] = len(prepared.validation)
    params["model.parameters"] = prepared.network.count_params()
    return params


def _scalars(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found += _scalars(value, f"{prefix}{key}.")
        elif key not in ("_target_", "layers"):
            found.append((f"{prefix}{key}", value))
    return found


def _tags(cfg: DictConfig, prepared: "Prepared", root: Path, trial: "Trial | None") -> dict[str, str]:
    from runback.data.content import content_hash
    from runback.provenance.code import git_state
    from runback.provenance.config_hash import text_hash

    code = git_state(root)
    tags = {
        "runback.kind": "train",
        "runback.config_hash": text_hash(resolved_yaml(cfg, prepared)),
        "runback.data_hash.train": content_hash(prepared.train),
        "runback.data_hash.validation": content_hash(prepared.validation),
        "runback.dirty": str(code.dirty).lower(),
    }
    if code.commit:
        tags["mlflow.source.git.commit"] = tags["runback.commit"] = code.commit
    if trial is not None:
        tags |= {"runback.sweep": trial.sweep, "runback.trial": str(trial.number)}
    return tags


def _description(prepared: "Prepared", names: Mapping[str, str]) -> str:
    options = prepared.options
    augmented = "" if prepared.augmentation is None else f", augmented by **{names['augmentation']}**"
    return (
        f"**{names['model']}** ({prepared.network.count_params():,} parameters) trained with "
        f"**{names['optimizer']}** on **{names['data']}**{augmented}: {len(prepared.train):,} training and "
        f"{len(prepared.validation):,} validation images, up to {options.epochs} epochs, "
        f"batches of {options.batch_size}, {options.precision}."
    )
