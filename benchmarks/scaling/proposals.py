"""What TPE takes to propose a trial's params, by the number of trials that have finished."""

import time

import optuna
from optuna.pruners import NopPruner
from optuna.storages import InMemoryStorage

from coordinated import finished_trial
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_space import parse
from scaling.study_writes import SEARCHED

TIMES = 10


def milliseconds(finished: int, seed: int) -> float:
    """Return the CPU milliseconds of a proposal with so many finished trials: the mean of ten."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    searched = parse(SEARCHED, [], None)  # type: ignore[arg-type] - nothing here looks at config files
    study = optuna.create_study(storage=InMemoryStorage(), direction="maximize")
    study.add_trials([finished_trial(searched, number) for number in range(finished)])
    trials = study.get_trials(deepcopy=False)
    proposer = Proposer({"_target_": "optuna.samplers.TPESampler"}, searched, seed=seed)
    began = time.process_time()
    for _ in range(TIMES):
        proposer.propose(study, trials, trials, NopPruner())
    return 1000 * (time.process_time() - began) / TIMES
