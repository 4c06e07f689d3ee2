"""The run behind a sweep's champion, in MLflow's model registry."""

import runback.tracking.flags  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

from mlflow.exceptions import MlflowException

from runback.errors import InputError, StoreAway
from runback.tracking.store import Store, is_refusal
from runback.tracking.text import first_line

ALIAS = "champion"


def champion_run(store: Store, sweep: str) -> str:
    """Return the ID of the run whose model is a sweep's champion. Errors: InputError for none, StoreError."""
    name = f"runback-{sweep.replace(':', '_')}"  # MLflow's may not hold a colon
    try:
        version = store.client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if not is_refusal(error):
            raise StoreAway(f"cannot ask {store} for {name}@{ALIAS}: {first_line(str(error))}") from error
        raise InputError(
            f"sweep {sweep} has no champion: expected a registered model {name} with the alias {ALIAS}; "
            f"best:{sweep} names its best trial"
        ) from error
    if not version.run_id:
        raise InputError(f"{name}@{ALIAS} is version {version.version}, which belongs to no run")
    return str(version.run_id)
