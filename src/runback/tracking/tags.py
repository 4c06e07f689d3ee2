"""The tags that tell runs apart; `runback.` is in front of all that are not MLflow's own."""

KIND_TAG = "runback.kind"
"""`train` for a training, `confirm` for one of a sweep's confirm stage, `sweep` for a sweep's own run."""

TRAININGS = ("train", "confirm")
"""The kinds of runs that trained a network."""

SWEEP_TAG = "runback.sweep"
"""The name of the sweep that a run belongs to."""

TRIAL_TAG = "runback.trial"
"""The number of the trial that a run is, counted from 0."""

CONFIRMED_TAG = "runback.confirms"
"""The number of the trial that a run confirms, which is another one."""

CONFIRM_SEED_TAG = "runback.confirm_seed"
"""The fresh seed that a run confirms a trial on."""

RETRY_TAG = "runback.retry_of"
"""The run that this one is in the place of."""

REASON_TAG = "runback.reason"
"""Why a run is not FINISHED, in one line."""

FAILURE_TAG = "runback.failure"
"""The kind of a trial's failure."""

SIGNATURE_TAG = "runback.signature"
"""The signature, by its user's own key, of the files that a run was made from."""

TEST_IMAGES_TAG = "runback.n_test"
"""The number of images that the run's network was tested on."""
