"""The network that a finished run trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from runback.errors import InputError
from runback.keras.networks.network_file import read_network_file
from runback.runs.schema import CONFIG, NETWORK
from runback.system.config import targets
from runback.system.text.quiet_stderr import silenced
from runback.tracking.read.find_runs import artifacts, download, read_text
from runback.tracking.store import Store

if TYPE_CHECKING:
    import keras


def stored_config(store: Store, run_id: str) -> dict[str, Any]:
    """Return the config, as it is written, of a run that has a network. Errors: InputError, StoreError."""
    missing = {CONFIG, NETWORK} - set(artifacts(store, run_id))
    if missing:
        raise InputError(f"run {run_id} has no network to load: it has no artifact {min(missing)}")
    config = OmegaConf.to_container(OmegaConf.create(read_text(store, run_id, CONFIG)))
    if not isinstance(config, dict) or not {"data", "model"} <= config.keys():
        raise InputError(f"the {CONFIG} of run {run_id} holds no data and model")
    return {str(key): value for key, value in config.items()}


def load_network(store: Store, run_id: str, declared: tuple[str, ...]) -> "keras.Model":
    """Return a run's network, without optimizer; `declared` are the modules that may be imported for it.

    Keras' safe mode is on. Errors: InputError, StoreError.
    """
    model = stored_config(store, run_id)["model"]
    factory = model.get("_target_") if isinstance(model, dict) else None
    return read_network(download(store, run_id, NETWORK), factory, declared, f"{NETWORK} of run {run_id}")


def read_network(file: Path, factory: Any, declared: tuple[str, ...], what: str) -> "keras.Model":
    """Return the network in a .keras file that the function at the dotted path `factory` made.

    See `load_network`; `what` opens the message. Errors: InputError.
    """
    with silenced():
        # A custom layer registers itself when its module is imported: the one of the network's factory.
        targets.resolve(factory, "model", declared)
        return read_network_file(file, declared, what)
