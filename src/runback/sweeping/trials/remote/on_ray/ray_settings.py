"""The knobs of the engine ray."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

GIB = 1 << 30


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise ValueError("must be a whole number, or a fraction below 1")
    return gpus


@dataclass(frozen=True)
class RaySettings:
    """The cluster, and what each worker asks it for."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    address: (
        Annotated[str, Field(pattern=r"^(auto|[\w.-]+:[0-9]{1,5}|\[[0-9a-fA-F:.]+\]:[0-9]{1,5})$")] | None
    ) = None
    """auto (a cluster that this machine is a node of) or HOST:PORT; None: one of its own on this machine."""
    cpus_per_trial: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1
    gpus_per_trial: Annotated[float, Field(ge=0, allow_inf_nan=False), AfterValidator(_whole_above_one)] = 0
    memory_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    resources: Mapping[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = field(default_factory=dict)
    """What nodes were started with beside CPUs, GPUs and memory: ray start --resources."""

    @property
    def asked(self) -> dict[str, float]:
        """What a worker asks for, by Ray's name."""
        asked = {"CPU": self.cpus_per_trial, "GPU": self.gpus_per_trial, **self.resources}
        if self.memory_gb is not None:
            asked["memory"] = self.memory_gb * GIB
        return {name: amount for name, amount in asked.items() if amount}

    @property
    def options(self) -> dict[str, Any]:
        """The same, as options of an actor."""
        return {
            "num_cpus": self.cpus_per_trial,
            "num_gpus": self.gpus_per_trial,
            "resources": dict(self.resources),
            **({} if self.memory_gb is None else {"memory": int(self.memory_gb * GIB)}),
        }

    @property
    def about(self) -> str:
        """The same, for a person."""
        return ", ".join(
            f"{amount / GIB:g} GiB of memory" if name == "memory" else f"{amount:g} {name}"
            for name, amount in self.asked.items()
        )
