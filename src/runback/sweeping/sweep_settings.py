"""The settings of a sweep, `hydra.sweeper`."""

import math
from dataclasses import dataclass, field
from typing import Any

from runback.errors import InputError
from runback.sweeping.confirm.confirm_settings import ConfirmSettings
from runback.sweeping.engine_settings import check_engine
from runback.sweeping.shared.storage_url import StorageUrl
from runback.sweeping.trials.failures import RETRIES, FailurePolicy, check_retries
from runback.sweeping.watching.webhook import KEY as NOTIFY
from runback.sweeping.watching.webhook import webhooks
from runback.tracking.layout import folder_name

SHORTEST_LEASE, LONGEST_LEASE = 2.0, 3600.0

FIRST_CONFIG = "config"
FIRST_BEST = "best:"
"""Opens the name of the sweep whose best trials come first."""


@dataclass
class SweeperSettings:
    """The sweeper's knobs, as Hydra's config holds them."""

    _target_: str = "hydra_plugins.runback_sweeper.sweeper.RunbackSweeper"
    _recursive_: bool = False
    _convert_: str = "all"
    defaults: list[Any] = field(
        default_factory=lambda: ["_self_", {"sampler": "auto"}, {"pruner": "none"}, {"engine": "local"}],
    )

    name: str | None = None
    """The sweep's name; by default that of the folder hydra.sweep.dir."""
    params: dict[str, Any] | None = None
    """The search space: key -> expression in Hydra's override grammar."""
    n_trials: int | None = None
    """Completed, pruned and paused trials in the whole study; None: a grid's size, else until `timeout`."""
    timeout: float | None = None
    """Seconds after which no trial is started any more."""
    n_workers: Any = "auto"
    """Trials that run at once; auto: as many as the GPUs take, without one a core each if memory allows."""
    gpus: Any = "auto"
    """The GPUs that trials run on, one trial on each: auto (all that this process sees) or a list."""
    trials_per_gpu: int = 1
    """Trials that share a GPU."""
    distribution: str | None = None
    """mirrored: a trial has all of the GPUs, and one runs at a time on this machine; None: it has one."""
    threads: Any = "auto"
    """CPU threads of a trial; auto: the cores divided among the workers."""
    objective: Any = "objective"
    """The name of the value that a task returns; a list for several objectives."""
    direction: Any = "maximize"
    """maximize or minimize; a list for several objectives."""
    deterministic: bool = False
    """Propose and prune trial k by what trials up to k - n_workers came to: never by which one was faster."""
    extend: bool = False
    """Go on with a study although ranges of the search space have become wider, or choices more."""
    seed: int = 0
    """Seeds the sampler."""
    sampler: Any = None
    """None (the choice auto): every point where the space is finite and no budget is given, else TPE."""
    first: Any = "config"
    """The first trials: config (the config as composed, then each choice of a searched config group with its
    own file's values), none, best:SWEEP (the best of another sweep), or a list of points, as overrides."""
    startup: str = "covering"
    """The sampler's startup trials: covering (they cover the search space) or random (independent draws)."""
    pruner: Any = None
    """None (the choice none): every trial runs to its end."""
    max_resource: Any = None
    """The last step of a whole training; the classifier's epochs. The pruner hyperband divides it; with
    promote no trial pauses there that does not say itself how long it is."""
    retries: dict[str, int] = field(default_factory=lambda: dict(RETRIES))
    """The number of retries of a trial, from its checkpoint if it has one, by kind of failure."""
    trial_timeout: float | None = None
    """Seconds after which a trial is ended; None: never."""
    stall_timeout: float | None = None
    """Seconds without a report after which a trial is ended; None: never."""
    storage: Any = None
    """None: the study is a file in the sweep's folder; postgresql://USER@HOST:PORT/DATABASE: it is there, and
    several coordinators and workers share it. The password is libpq's affair: PGPASSWORD or ~/.pgpass."""
    lease: float = 60.0
    """Seconds after which a coordinator of a shared study that is not heard of loses its trials to others."""
    joining: Any = None
    """Set by `runback worker`: how it joins a study, see `joining`."""
    engine: Any = None
    """None (the choice local): processes of this machine; slurm: workers in a SLURM array job;
    ray: workers on a Ray cluster, or on one that is started here."""
    start_method: str = "forkserver"
    """forkserver (a trial starts in milliseconds) or spawn (a fresh interpreter for each)."""
    preload: list[str] = field(default_factory=list)
    """Modules that the forkserver imports once, before the first trial, besides the task's own."""
    confirm: Any = None
    """The best trials that are trained again, and their fresh seeds: {top: 3, seeds: 5}; None: none are."""
    notify: Any = None
    """A webhook that is told how the sweep fares, {url: env:NAME, on: [end, failures, best]}, or a list of
    such; None: nobody is."""
    experiment: str | None = None
    """The MLflow experiment that gets a parent run for the sweep; None: the sweep itself is not tracked."""

    def __post_init__(self) -> None:
        if isinstance(self.pruner, dict) and "_target_" not in self.pruner:
            self.pruner = None  # what a sweep's file says about the pruner that pruner=none switches off
        if isinstance(self.pruner, dict) and self.pruner.get("max_resource", 0) is None:
            raise InputError(
                "hydra.sweeper.max_resource must be set: the last step of a whole training, as its epochs"
            )

    @property
    def objectives(self) -> list[str]:
        """The names of the objectives."""
        return [self.objective] if isinstance(self.objective, str) else list(self.objective)

    @property
    def directions(self) -> list[str]:
        """The direction of each objective."""
        return [self.direction] if isinstance(self.direction, str) else list(self.direction)

    @property
    def confirming(self) -> ConfirmSettings | None:
        """The settings of the confirm stage, None: there is none. Errors: InputError."""
        return None if self.confirm is None else ConfirmSettings.of(self.confirm)

    @property
    def policy(self) -> FailurePolicy:
        """The policy about trials that fail."""
        return FailurePolicy({**RETRIES, **self.retries}, self.trial_timeout, self.stall_timeout)

    def check(self) -> None:
        """Errors: InputError for a value out of range."""
        if self.name is not None:
            folder_name(self.name, "hydra.sweeper.name")
        for name in ("objective", "direction"):
            value = getattr(self, name)
            listed = [value] if isinstance(value, str) else value
            if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
                raise InputError(f"hydra.sweeper.{name} must be a name or a list of names; got {value!r:.80}")
        for name in ("sampler", "pruner"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, dict):
                raise InputError(f"a {name} is chosen with slashes: hydra/sweeper/{name}={value}")
        if self.storage is not None:
            StorageUrl.parse(self.storage)
            if self.deterministic:
                raise InputError(
                    "hydra.sweeper.deterministic=true cannot be kept where coordinators share a study: it is "
                    "nobody's choice which of them asks first; leave it or hydra.sweeper.storage out"
                )
        if not SHORTEST_LEASE <= self.lease <= LONGEST_LEASE:
            raise InputError(
                f"hydra.sweeper.lease must lie in [{SHORTEST_LEASE:g}, {LONGEST_LEASE:g}] seconds; "
                f"got {self.lease}"
            )
        check_engine(self.engine)
        if self.engine is not None and self.n_workers == "auto":
            raise InputError(
                "hydra.sweeper.n_workers must be a number with this engine: how many workers to start"
            )
        if (
            "best" in [event for one in webhooks(self.notify) for event in one.on]
            and len(self.directions) > 1
        ):
            raise InputError(
                f"{NOTIFY}.on: there is no single best value with {len(self.directions)} objectives"
            )
        self._check_first()
        if self.startup not in ("covering", "random"):
            raise InputError(f"hydra.sweeper.startup must be covering or random; got {self.startup!r:.80}")
        check_retries(self.retries)
        for name in ("n_trials", "timeout", "trial_timeout", "stall_timeout"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"hydra.sweeper.{name} must be positive; got {value}")
        for name in ("n_workers", "threads"):
            value = getattr(self, name)
            is_number = isinstance(value, int) and not isinstance(value, bool)
            if value != "auto" and not (is_number and value >= 1):
                raise InputError(f"hydra.sweeper.{name} must be auto or a number from 1; got {value}")
        if self.trials_per_gpu < 1:
            raise InputError(f"hydra.sweeper.trials_per_gpu must be at least 1; got {self.trials_per_gpu}")
        self._check_distribution()
        if self.direction is None:
            raise InputError(
                "hydra.sweeper.direction must be set to maximize or minimize: what the task returns has no "
                "name that says it; or name it, as in @runback.task(objective='val_loss')"
            )
        if not self.directions or not set(self.directions) <= {"maximize", "minimize"}:
            raise InputError(f"hydra.sweeper.direction must be maximize or minimize; got {self.direction}")
        if self.start_method not in ("forkserver", "spawn"):
            raise InputError(
                f"hydra.sweeper.start_method must be forkserver or spawn; got {self.start_method}"
            )
        if self.pruner is not None and len(self.directions) > 1:
            raise InputError(
                f"pruning needs one objective, not {len(self.directions)}: use hydra/sweeper/pruner=none"
            )
        if self.confirming is not None and len(self.directions) > 1:
            raise InputError(
                f"the confirm stage needs one objective, not {len(self.directions)}: use "
                "hydra.sweeper.confirm=null"
            )

    def check_max_resource(self) -> None:
        """Errors: InputError for a length that is none; what it refers to has been checked before."""
        value = self.max_resource
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if value not in (None, "auto") and not is_number:
            raise InputError(f"hydra.sweeper.max_resource must be a whole number from 1; got {value!r:.80}")

    def _check_distribution(self) -> None:
        if self.distribution not in (None, "mirrored"):
            raise InputError(
                f"hydra.sweeper.distribution must be mirrored or null; got {self.distribution!r:.80}"
            )
        if self.distribution is None or self.engine is not None:
            return
        for name, alone in (("n_workers", ("auto", 1)), ("trials_per_gpu", (1,))):
            value = getattr(self, name)
            if value not in alone:
                raise InputError(
                    f"hydra.sweeper.{name} must be {alone[-1]} where a trial has all GPUs "
                    f"(distribution=mirrored); got {value}"
                )

    def _check_first(self) -> None:
        first = self.first
        if first is None or first in (FIRST_CONFIG, "none"):
            return
        if isinstance(first, str) and first.startswith(FIRST_BEST) and first != FIRST_BEST:
            return
        if not isinstance(first, list) or not all(isinstance(one, str | dict) for one in first):
            raise InputError(
                f"hydra.sweeper.first must be config, none, {FIRST_BEST}SWEEP or a list of points, as "
                f"['optimizer=adam optimizer.learning_rate=0.001']; got {first!r:.100}"
            )
