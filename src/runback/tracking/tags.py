"""The names of the tags that runback sets, on runs and on versions of a registered model."""

from typing import Final

PREFIX: Final = "runback."
"""Stands in front of all of them; MLflow's own begin otherwise."""

KIND_TAG: Final = "runback.kind"
"""`train` for a training, `confirm` for one of a sweep's confirm stage, `sweep` for a sweep's own run."""

TRAININGS: Final = ("train", "confirm")
"""The kinds of runs that trained a network."""

TASK_TAG: Final = "runback.task"
"""The name of a run's task, or of its app; no tag where it is the classifier's."""

CONFIG_HASH_TAG: Final = "runback.config_hash"
"""The SHA-256 of the config, without what leaves the experiment the same."""

DATA_HASH_TAGS: Final = "runback.data_hash."
"""The beginning of the tags with the SHA-256 of each part of a run's data, by its name."""

TRAIN_HASH_TAG: Final = "runback.data_hash.train"
"""The SHA-256 of the training images and labels."""

VALIDATION_HASH_TAG: Final = "runback.data_hash.validation"
"""The SHA-256 of the validation images and labels."""

COMMIT_TAG: Final = "runback.commit"
"""The commit that the code was at; no tag where it was in no repository."""

DIRTY_TAG: Final = "runback.dirty"
"""`true` where the code had changes besides its commit, else `false`."""

DEVICE_TAG: Final = "runback.device"
"""The device that a trial ran on: `CPU`, or `GPU` and its number."""

FOLDER_TAG: Final = "runback.folder"
"""A run's folder in mlruns/, which its process holds."""

SIGNATURE_TAG: Final = "runback.signature"
"""The signature, by its user's own key, of the files that a run was made from."""

SWEEP_TAG: Final = "runback.sweep"
"""The name of the sweep that a run belongs to."""

TRIAL_TAG: Final = "runback.trial"
"""The number of the trial that a run is, counted from 0."""

CONFIRMED_TAG: Final = "runback.confirms"
"""The number of the trial that a run confirms, which is another one."""

CONFIRM_SEED_TAG: Final = "runback.confirm_seed"
"""The fresh seed that a run confirms a trial on."""

EXTENDED_TAG: Final = "runback.extended"
"""On a sweep's run: the search space as it is since its ranges became wider."""

WINNER_TAG: Final = "runback.winner"
"""On a sweep's run: the number of the confirmed winner, which need not be better than others."""

VERDICT_TAG: Final = "runback.verdict"
"""On a sweep's run: the confirm stage's result, in a sentence or two. On a reproduction: how it compares."""

RETRY_TAG: Final = "runback.retry_of"
"""The run that this one is in the place of."""

RESUMED_TAG: Final = "runback.resumed"
"""The places at which a run went on, in their order."""

REASON_TAG: Final = "runback.reason"
"""Why a run is not FINISHED, in one line."""

FAILURE_TAG: Final = "runback.failure"
"""The kind of a trial's failure."""

REPRODUCES_TAG: Final = "runback.reproduces"
"""On a reproduction: the recorded run."""

REPRODUCED_BY_TAG: Final = "runback.reproduced_by"
"""On a recorded run: its reproductions, the newest last."""

TEST_IMAGES_TAG: Final = "runback.n_test"
"""The number of images that the run's network was tested on."""

TEST_OPENED_TAG: Final = "runback.test_opened"
"""How often a run's test split has been opened."""

TESTED_TAG: Final = "runback.tested"
"""On a sweep's run: how many of its runs were tested, and what that does to the best score."""

GATES_TAG: Final = "runback.gates"
"""The gates that a run was checked by, and whether it passed them."""

REVIEW_BY_TAG: Final = "runback.review_by"
"""The date by which a person is to look at a run again, as 2027-03-01."""

REVIEWED_TAG: Final = "runback.reviewed"
"""Who has reviewed a run last, and when."""

WAIVER_TAG: Final = "runback.waiver"
"""Who has promoted a run although its gates or its review were against it, when, and why."""

VALUES_TAG: Final = "runback.confirmed_values"
"""On a model's version: the values of its finalist on all fresh seeds, as JSON."""

MEAN_TAG: Final = "runback.mean"
"""On a model's version: the mean of those values."""

INTERVAL_TAG: Final = "runback.interval"
"""On a model's version: the mean's 95 % interval, `LOW to HIGH`."""

SEEDS_TAG: Final = "runback.seeds"
"""On a model's version: the fresh seeds, with commas between them."""

DIRECTION_TAG: Final = "runback.direction"
"""On a task's run, and on a model's version: `maximize` or `minimize`; of several objectives a JSON list."""

OBJECTIVE_TAG: Final = "runback.objective"
"""On a task's run, and on a model's version: the metric that it is judged by; of several a JSON list."""

VALIDATION_DATA_TAG: Final = "runback.validation_data"
"""On a model's version: the SHA-256 of the validation images and labels."""
