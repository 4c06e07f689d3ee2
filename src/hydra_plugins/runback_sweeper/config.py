"""The config groups `hydra/sweeper`, `hydra/sweeper/sampler`, `.../pruner` and `.../engine`.

Each choice is a class with the knobs that people turn; `+hydra.sweeper.sampler.KNOB=VALUE` sets others.
"""

from typing import Any

from hydra.core.config_store import ConfigStore

from runback.sweeping.sweep_settings import SweeperSettings

SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 10},
    "random": {"_target_": "optuna.samplers.RandomSampler"},
    "grid": {"_target_": "runback.sweeping.space.grid.points"},
    "brute_force": {"_target_": "runback.sweeping.space.grid.points", "shuffle": True},
    "qmc": {"_target_": "optuna.samplers.QMCSampler", "scramble": True, "warn_independent_sampling": False},
    "cmaes": {
        "_target_": "optuna.samplers.CmaEsSampler",
        "n_startup_trials": 1,
        "warn_independent_sampling": False,
    },
    "gp": {"_target_": "optuna.samplers.GPSampler", "n_startup_trials": 10},
    "nsgaii": {"_target_": "optuna.samplers.NSGAIISampler", "population_size": 50},
}

MEDIAN = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 5, "n_warmup_steps": 0}

PRUNERS: dict[str, dict[str, Any]] = {
    "median": MEDIAN,
    "percentile": {"_target_": "optuna.pruners.PercentilePruner", "percentile": 25.0, "n_startup_trials": 5},
    "asha": {
        "_target_": "runback.sweeping.deciding.best_so_far.RungHalving",
        "min_resource": 1,
        "reduction_factor": 3,
        "min_early_stopping_rate": 0,
        "value": "best",
    },
    "promote": {
        "_target_": "runback.sweeping.deciding.promotion.Promotion",
        "min_resource": 1,
        "reduction_factor": 3,
        "value": "best",
        "eager": True,
    },
    "hyperband": {
        "_target_": "runback.sweeping.deciding.best_so_far.BracketHalving",
        "min_resource": 1,
        "max_resource": "${hydra.sweeper.max_resource}",
        "reduction_factor": 3,
        "value": "best",
    },
    "threshold": {
        "_target_": "optuna.pruners.ThresholdPruner",
        "lower": None,
        "upper": None,
        "n_warmup_steps": 0,
    },
    "patient": {
        "_target_": "optuna.pruners.PatientPruner",
        "wrapped_pruner": MEDIAN,
        "patience": 3,
        "min_delta": 0.0,
    },
}


SLURM: dict[str, Any] = {
    "name": "slurm",
    "partition": None,
    "minutes": 60,
    "cpus_per_trial": 1,
    "gpus_per_trial": 0,
    "memory_gb": None,
    "leave_seconds": 90,
    "more": None,  # a mapping would take no new keys
}

RAY: dict[str, Any] = {
    "name": "ray",
    "address": None,
    "cpus_per_trial": 1,
    "gpus_per_trial": 0,
    "memory_gb": None,
    "resources": None,
}


def register() -> None:
    """Put the groups into Hydra's config store."""
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="runback", node=SweeperSettings, provider="runback")
    for name, node in SAMPLERS.items():
        store.store(group="hydra/sweeper/sampler", name=name, node=node, provider="runback")
    for name, node in PRUNERS.items():
        store.store(group="hydra/sweeper/pruner", name=name, node=node, provider="runback")
    for name, node in (("slurm", SLURM), ("ray", RAY)):
        store.store(group="hydra/sweeper/engine", name=name, node=node, provider="runback")
    for part, name in (("sampler", "auto"), ("pruner", "none"), ("engine", "local")):
        group = f"hydra/sweeper/{part}"
        store.store(group=group, name=name, package="hydra.sweeper", node={part: None}, provider="runback")
