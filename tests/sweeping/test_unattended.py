from runback.sweeping.parent import PARENT_RUN
from runback.sweeping.space import Space
from runback.sweeping.study import open_study
from runback.sweeping.unattended import study_facts


def test_a_study_tells_its_running_trials_and_the_runs_that_it_knows(tmp_path):
    folder = tmp_path / "quick"
    folder.mkdir()
    space = Space((), ())
    study = open_study(folder, "quick", ["maximize"], space)
    study.set_user_attr(PARENT_RUN, "parent")
    for number in range(3):
        study.ask(space.distributions).set_user_attr("run_id", f"run {number}")
    study.tell(1, 0.5)
    facts = study_facts(folder)
    assert facts.running == [0, 2]
    assert facts.runs == {"parent", "run 0", "run 1", "run 2"}
