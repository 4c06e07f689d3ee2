"""The best trial's config as a file: parts and values, as those of conf/experiment."""

from collections.abc import Mapping
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from runback.sweeping.trials.hydra_job import Composer, app_config
from runback.system.secrecy.config_secrets import masked
from runback.system.text.escape import for_terminal

BEST_CONFIG = "best_config.yaml"


def best_config(composer: Composer, overrides: list[str], about: str) -> str:
    """Return YAML that turns the app's own config into that of the trial with these overrides.

    It names the choice in each group, and the values that those choices do not have. What the config takes
    from elsewhere, such as environment variables, it still takes from there. `about` is its opening comment.
    """
    composed = composer.compose(0, overrides)
    plain = _composed(composer, composed, [])
    chosen = {
        group: choice
        for group, choice in sorted(composed.hydra.runtime.choices.items())
        if group in plain.hydra.runtime.choices and _is_part(str(group), composed) and choice is not None
    }
    base = _composed(composer, composed, [f"{group}={choice}" for group, choice in chosen.items()])
    content = {
        **(
            {"defaults": [{f"override /{group}": choice} for group, choice in chosen.items()]}
            if chosen
            else {}
        ),
        **_changed(_container(base), _container(composed)),
    }
    lines = ["@package _global_", *map(for_terminal, about.splitlines())]  # YAML takes nothing else
    heading = "".join(f"# {line}\n" for line in lines)
    return heading + OmegaConf.to_yaml(OmegaConf.create(masked(content)[0]))


def _composed(composer: Composer, like: DictConfig, overrides: list[str]) -> DictConfig:
    return composer.reading_once.load_configuration(str(like.hydra.job.config_name), overrides, RunMode.RUN)


def _is_part(group: str, config: DictConfig) -> bool:
    """Tell whether a group fills a key of its own, and not, as conf/experiment does, others' keys."""
    package = group.partition("@")[2] or group.replace("/", ".")
    return package != "hydra" and not package.startswith("hydra.") and package.split(".")[0] in config


def _container(config: DictConfig) -> Any:
    return OmegaConf.to_container(app_config(config))


def _changed(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, value in own.items():
        known = base.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            if inner := _changed(known, value):
                changed[name] = inner
        elif name not in base or value != known:
            changed[name] = value
    return changed
