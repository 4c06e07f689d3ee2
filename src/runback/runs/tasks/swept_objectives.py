"""The objectives of a run that is a trial: those of its sweep."""

from collections.abc import Mapping

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from runback.errors import InputError
from runback.sweeping.sweep_settings import SweeperSettings
from runback.sweeping.trials import trial as trials


def swept_objectives(own: Mapping[str, str]) -> Mapping[str, str]:
    """Return the objectives of this process's run: in a sweep with the sweep's directions.

    `own` are those that the training names itself; where it names none, a sweep's names count too.
    """
    if trials.current() is None or not HydraConfig.initialized():
        return own
    sweeper = OmegaConf.to_container(HydraConfig.get().sweeper, resolve=True)
    settings = SweeperSettings(objective=sweeper["objective"], direction=sweeper["direction"])  # type: ignore[call-overload, index]
    names = [*own] or settings.objectives
    return dict(zip(names, settings.directions, strict=False))


def refuse_other_direction(own: Mapping[str, str], *, is_given: bool) -> None:
    """Raise InputError for a trial whose sweep takes the worse values for the better ones.

    `is_given` says that somebody has given the directions; else they are what the names say.
    """
    swept = swept_objectives(own)
    for name, direction in own.items():
        if swept.get(name, direction) != direction:
            other = "" if is_given else f", or say that {swept[name]} is right: runback.start(direction=…)"
            raise InputError(
                f"objective {name}: the sweep would {swept[name]} it; write hydra.sweeper.direction="
                f"{direction}{other}"
            )
