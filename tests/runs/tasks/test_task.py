import pytest

from runback.errors import InputError
from runback.runs.tasks.task import Task, task


@task
def best_loss(run, *, rate: float = 0.1) -> float:
    return run.best("val_loss")


@task
def best_accuracy(run) -> float:
    def inner():
        return "not this"

    inner()
    return run.best("val_accuracy")


@task
def best_reward(run):
    return run.best("reward", mode="max")


@task
def two(run):
    return run.best("val_loss"), run.best("speed", "max")


@task(objective="score", direction="maximize")
def named(run):
    return 0.5


@task(objective=("val_loss", "val_accuracy"))
def named_two(run):
    return 1.0, 2.0


@task
def some_number(run):
    value = run.best("val_loss")
    return value * 2


@task
def either(run):
    if run.epoch:
        return run.best("val_loss")
    return run.best("val_accuracy")


@task
def early(run):
    if not run.epoch:
        return float("inf")
    return run.best("val_loss")


@task
def nothing(run):
    run.log(loss=1.0)


@task
def only_none(run):
    return None


@pytest.mark.parametrize(
    ("made", "objectives"),
    [
        (best_loss, {"val_loss": "minimize"}),
        (best_accuracy, {"val_accuracy": "maximize"}),
        (best_reward, {"reward": "maximize"}),
        (two, {"val_loss": "minimize", "speed": "maximize"}),
        (named, {"score": "maximize"}),
        (named_two, {"val_loss": "minimize", "val_accuracy": "maximize"}),
        (some_number, {}),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_the_objective_is_what_it_says_or_what_it_returns_the_best_of(made, objectives):
    assert made.objectives == objectives


def test_a_task_that_returns_one_metric_here_and_another_there_is_refused():
    with pytest.raises(InputError, match="returns several things: name its objective"):
        either.objectives  # noqa: B018
    assert early.objectives == {"val_loss": "minimize"}


@pytest.mark.parametrize("made", [nothing, only_none], ids=["nothing", "none"])
def test_a_task_that_returns_nothing_is_refused(made):
    with pytest.raises(InputError, match=r"returns nothing: it must return its objective's value"):
        made.objectives  # noqa: B018


def test_a_direction_that_is_none_is_refused():
    with pytest.raises(InputError, match="direction must be maximize or minimize"):
        Task(named.function, ["score"], ["up"]).objectives  # noqa: B018


def test_a_task_is_still_its_function():
    assert named(None) == 0.5
    assert named.__name__ == named.name == "named"


@task(objective="${metric}")
def without_direction(run, *, metric: str = "val_loss") -> float:
    return 1.0


@task(objective="${metric}", direction="${direction}")
def referring(run, *, metric: str = "val_loss", direction: str = "minimize") -> float:
    return 1.0


def test_objectives_that_parameters_name():
    assert referring.objectives_in({"metric": "speed", "direction": "max"}) == {"speed": "maximize"}
    several = {"metric": ["a", "b"], "direction": ["max", "min"]}
    assert referring.objectives_in(several) == {"a": "maximize", "b": "minimize"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"metric": "a", "direction": "upwards"}, "direction must be maximize or minimize"),
        ({"metric": ["a", "b"], "direction": "max"}, "one for each objective"),
        ({"direction": "max"}, r"\$\{metric\} must refer to a parameter with a name, or several; got None"),
        ({"metric": 3, "direction": "max"}, "got 3"),
    ],
)
def test_objectives_that_no_parameter_names_are_refused(config, message):
    with pytest.raises(InputError, match=f"task referring: .*{message}"):
        referring.objectives_in(config)


def test_an_objective_of_a_parameter_needs_its_direction():
    with pytest.raises(InputError, match=r"task without_direction: .* needs its direction"):
        _ = without_direction.objectives


def test_what_is_no_function_is_no_task():
    with pytest.raises(InputError, match=r"@runback.task stands above a function; got 5"):
        task(5)
