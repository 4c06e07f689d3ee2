from optuna.trial import TrialState

from runback.sweeping.parent import PARENT_RUN
from runback.sweeping.search import Search
from runback.sweeping.space import Space
from runback.sweeping.study import open_study
from runback.sweeping.unattended import study_facts


def test_a_study_tells_its_running_trials_and_the_runs_that_it_knows(tmp_path):
    folder = tmp_path / "quick"
    folder.mkdir()
    study = open_study(folder, "quick", Search.of(Space((), ()), ["maximize"], {}))
    study.set_user_attr(PARENT_RUN, "parent")
    for number in range(3):
        study.ask().set_user_attr("run_id", f"run {number}")
    study.tell(1, 0.5)
    assert [trial.state for trial in study.trials].count(TrialState.RUNNING) == 2
    facts = study_facts(folder)
    assert facts.running == [0, 2]
    assert facts.runs == {"parent", "run 0", "run 1", "run 2"}
