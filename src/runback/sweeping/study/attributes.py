"""The attributes that runback gives a sweep's study and its trials, beside what Optuna keeps of them.

Studies on disk have them under these names: to rename one is to lose it in every sweep there is.
"""

# User attributes of the study.

SEARCH = "runback:search"
"""The search: directions and space, see `search_identity.Search`."""

ORDER = "runback:order"
"""The settings that a deterministic sweep keeps, see `determinism`."""

FIRST = "runback:first"
"""The points that it begins with, and the setting `first` that they are of, as at the first start."""

PARENT_RUN = "runback:parent_run"
"""The ID of the sweep's run in MLflow."""

PARENT_RUNS = "runback:parent_runs"
"""The IDs of its runs in other stores, where coordinators of a shared study have stores of their own."""

COORDINATOR_RUN = "runback:run of "
"""Begins an attribute's name, with a coordinator's behind it: the sweep's run in that one's MLflow."""

RECORDED_SWEEP = "runback:sweep"
"""What a worker needs to join a shared study, see `recorded_sweep`."""

ENDED = "runback:ended"
"""True where the sweep has ended and all of its end is written; false while it goes on."""

ENERGY = "runback:energy"
"""The joules that the machine has taken while the sweep ran, by `cpu` and `gpu`, where it counts them."""

EVENTS = "runback:events"
"""What was asked of it while it ran, in order, each with its time in seconds since 1970; see `controller`."""

# User attributes of the study of a confirm stage.

PLAN = "runback:plan"
"""The plan that it follows, see `finalists.ConfirmPlan`."""

REPORTED = "runback:reported"
"""The plan whose results are reported, when nothing is left to do for it."""

# User attributes of a trial.

RUN_ID = "run_id"
"""The ID of its run in MLflow: of the latest, where it was tried again."""

RECORDED = "recorded"
"""`true` where its task records that run itself, so that it can be run back."""

PROCESS = "process"
"""The process that runs it, or ran it last, see `process_owner`."""

FAILURE = "failure"
"""Why it has failed, or was tried again: the failure's kind, a colon, its reason."""

ENDED_BY = "ended_by"
"""The kind of the failure that ended it for good."""

ATTEMPTS = "attempts"
"""The number of failures of each kind after which it was tried again."""

REQUEUED_AT = "requeued_at"
"""The time at which it was last put back to be tried again or to go on, in seconds since 1970."""

ALONE = "alone"
"""True where it has to have its device for itself."""

ENQUEUED = "enqueued"
"""The number of the event by which somebody asked for it."""

TO_END = "to_end"
"""True where somebody has asked for its end."""

PRUNED_AT = "pruned_at"
"""The step at which it was decided that it ends."""

PAUSED_AT = "paused_at"
"""The step at which it was decided, for the last time, that it pauses."""

PARTS = "parts"
"""The parts in which it was trained, where trials pause: of each its number, counted through all trials, and
the step that it began behind."""

TIMES = "times"
"""The times in which it was trained, see `training_times`."""

EPOCHS = "epochs"
"""The number of epochs of a whole training, as its run says."""

DATA = "data"
"""The fingerprint of what a check has read: an attribute of no trial of the study, but of the check."""

# A system attribute of a trial.

JOURNAL = "runback:asked"
"""The attributes that its sampler wrote when it proposed the trial: `study`, those of the study, and `own`,
the names of the trial's own."""
