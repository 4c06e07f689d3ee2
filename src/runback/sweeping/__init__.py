"""The one door to Optuna: search space, study, coordinator and trial protocol.

`report` is the public way for any Hydra app to tell the coordinator how a trial is doing.
"""

from runback.sweeping.trials.trial import report

__all__ = ["report"]
