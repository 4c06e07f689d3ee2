from optuna.trial import TrialState

from runback.sweeping.confirm.seed_proposer import Points
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import Space
from runback.sweeping.study.attributes import PARENT_RUN
from runback.sweeping.study.left_running import study_facts
from runback.sweeping.study.study_store import TrialEntry, confirm_study, create_entry, open_study


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
    assert facts.running == ["0", "2"]
    assert facts.runs == {"parent", "run 0", "run 1", "run 2"}
    assert facts.open_runs == {"run 0", "run 2"}
    assert (facts.ended, facts.paused) == ([1], {})


def test_it_tells_what_is_paused(tmp_path):
    folder = tmp_path / "quick"
    folder.mkdir()
    study = open_study(folder, "quick", Search.of(Space((), ()), ["maximize"], {}))
    for number in range(2):
        trial = study.ask()
        for name, value in {"run_id": f"run {number}", "parts": [[number, 0]]}.items():
            trial.set_user_attr(name, value)
    entry = TrialEntry(study, study.get_trials(deepcopy=False)[1])
    entry.note("paused_at", 3)
    entry.wait()
    facts = study_facts(folder)
    assert facts.paused == {1: "run 1"}
    assert facts.open_runs == {"run 0", "run 1"}
    assert facts.running == ["0"]


def test_it_tells_those_of_its_confirm_stage_too(tmp_path):
    folder = tmp_path / "quick"
    folder.mkdir()
    study = open_study(folder, "quick", Search.of(Space((), ()), ["maximize"], {}))
    points = Points([{"trial": 7, "seed": 1003}, {"trial": 7, "seed": 1004}])
    own = confirm_study(study)
    for number in range(2):
        create_entry(own, points.propose(own, [], own.trials, None)).note("run_id", f"run {number}")
    own.tell(0, 0.5)
    facts = study_facts(folder)
    assert facts.running == ["7 seed 1004"]
    assert facts.runs == {"run 0", "run 1"}
