"""Imported by the server that forks trials: what takes Hydra long the first time is behind them."""

from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from omegaconf import OmegaConf

import runback.sweeping.trials.hydra_job  # noqa: F401 - a trial needs it

setup_globals()
Plugins.instance()
OmegaConf.select(OmegaConf.create({"value": 1, "again": "${value}"}), "again")
