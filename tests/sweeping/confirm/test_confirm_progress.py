import io

from runback.sweeping.confirm.confirm_progress import ConfirmProgress
from runback.sweeping.confirm.seed_proposer import DISTRIBUTIONS
from runback.sweeping.deciding.proposer import proposed_trial
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import Idle, TrialEnded, TrialRequeued, TrialStarted


def test_each_training_that_ends_or_is_tried_again_is_a_line():
    stream = io.StringIO()
    progress = ConfirmProgress(stream)
    trial = proposed_trial(0, {"trial": 7, "seed": 1234}, DISTRIBUTIONS)
    for event in (
        TrialStarted(trial),
        TrialRequeued(trial, messages.Failed("lost", "it was killed")),
        TrialRequeued(trial, messages.Failed("stopped", "by SIGTERM")),
        Idle(),
        TrialEnded(trial, messages.Completed((0.5,))),
    ):
        progress.observe(event)
    assert stream.getvalue().splitlines() == [
        "trial 7 seed 1234  lost: it was killed; to be tried again",
        "trial 7 seed 1234  stopped: by SIGTERM; to go on",
        "trial 7 seed 1234  done    0.5000",
    ]
