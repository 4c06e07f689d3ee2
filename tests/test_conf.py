"""Every file of conf/ and sweeps/ composes, says how it is used, and names only what exists."""

import functools
import importlib.util
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from omegaconf import DictConfig, OmegaConf

import runback.classifier.train_config  # it registers the schema of conf/train.yaml
from hydra_plugins.runback_sweeper.config import PRUNERS, SAMPLERS
from runback.errors import InputError
from runback.sweeping.deciding.promotion import promotion_of
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space import search_space
from runback.sweeping.study.study_store import create_entry, pruner_for

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
COMPOSED = [file for file in CONF.rglob("*.yaml") if file.parent.name != "gates" and file.name != "card.yaml"]
FILES = sorted([*COMPOSED, *(ROOT / "sweeps").glob("*.yaml")])
SWEEPS = sorted(file.stem for file in (ROOT / "sweeps").glob("*.yaml"))
GROUPS = ("model", "optimizer", "schedule", "augmentation", "data")
CHOICES = sorted(
    f"{group}={file.stem}" for group in GROUPS for file in (CONF / group).glob("[!_]*.yaml")
)  # a file that starts with an underscore is included by its siblings and is no choice
DELTAS = [f"experiment={file.stem}" for file in sorted((CONF / "experiment").glob("*.yaml"))]
DELTAS += [f"+sweeps={name}" for name in SWEEPS]

Compose = Callable[..., DictConfig]


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Compose:
    """Compose conf/train.yaml as the command line does, with the project's root as a second search path."""
    monkeypatch.setenv("RUNBACK_MLRUNS", str(ROOT / "mlruns"))
    return compose_train


@functools.cache  # a fifth of a second each
def compose_train(*overrides: str) -> DictConfig:
    search_path = f"hydra.searchpath=['file://{ROOT}']"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [search_path, *overrides], return_hydra_config=True)
    OmegaConf.set_readonly(config, True)
    return config


@pytest.fixture
def parsed() -> Callable[[Any], search_space.Space]:
    """Read a search space as the sweeper does."""
    loader = ConfigLoaderImpl(create_config_search_path(str(CONF)))
    return lambda params: search_space.parse(OmegaConf.to_container(params), [], loader)


def opening(file: Path) -> str:
    """Return the comment that a file begins with."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))])


def commands(file: Path) -> list[tuple[str, list[str]]]:
    """Return the `runback VERB OVERRIDE…` lines that a file opens with; after three spaces comes text."""
    found = re.findall(r"^#   .*?runback (\w+) ?(\S+(?: \S+)*)?(?:   .*)?$", opening(file), re.MULTILINE)
    return [(verb, shlex.split(rest)) for verb, rest in found]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_opens_with_what_it_is_and_a_command_that_composes(file, composed):
    lines = [line for line in opening(file).splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# "), "it says what it is"
    assert not lines[0].startswith("#   ")
    assert commands(file)
    for verb, arguments in commands(file):
        if verb == "sweep":
            arguments = [f"+sweeps={arguments[0]}", *arguments[1:]]
        composed(*arguments)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_of_a_group_is_named_by_its_own_command(choice):
    file = CONF / f"{choice.replace('=', '/')}.yaml"
    assert any(choice in arguments for _, arguments in commands(file))


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_named_by_its_own_command(name):
    assert ("sweep", [name]) in commands(ROOT / "sweeps" / f"{name}.yaml")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_sets_all_it_needs(choice, composed):
    group, _, name = choice.partition("=")
    config = composed(choice)
    assert config.hydra.runtime.choices[group] == name
    task_config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    assert not OmegaConf.missing_keys(task_config)


@pytest.mark.parametrize("delta", DELTAS)
def test_an_experiment_or_sweep_brings_no_key_of_its_own(delta, composed):
    """Hydra takes any key that a file puts into an untyped group: a mistyped one would do nothing."""
    config = composed(delta)
    for group in GROUPS:
        choice = f"{group}={config.hydra.runtime.choices[group]}"
        assert config[group].keys() == composed(choice)[group].keys()


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_searches_over_keys_that_exist(name, composed, parsed):
    config = composed(f"+sweeps={name}")
    searched = parsed(config.hydra.sweeper.params)
    assert searched.parameters
    for parameter in searched.parameters:
        is_group = (CONF / parameter.name).is_dir()
        assert is_group or OmegaConf.select(config, parameter.name) is not None, parameter.name
    for values in searched.corner_values():
        composed(f"+sweeps={name}", *searched.overrides(values))


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_has_a_budget_a_sampler_and_a_pruner_that_work(name, composed, parsed):
    sweeper = composed(f"+sweeps={name}").hydra.sweeper
    assert sweeper.n_trials or sweeper.timeout
    sampler, pruner = OmegaConf.to_container(sweeper.sampler), OmegaConf.to_container(sweeper.pruner)
    searched = parsed(sweeper.params)
    promotion = promotion_of(pruner)
    study = optuna.create_study(pruner=pruner_for(None if promotion else pruner))
    trial = create_entry(study, Proposer(sampler, searched, 0).propose(study, [], [], study.pruner))
    assert trial.found.params.keys() == searched.distributions.keys()
    trial.report(1, 0.5)
    study.pruner.prune(study, study.trials[0])
    assert promotion is None or promotion.pauses(1, 0, 9)


FINITE = {"training.batch_size": "choice(32, 64)", "training.epochs": "range(1, 3)"}
CONTINUOUS = {"model.conv_dropout": "interval(0.0, 0.5)", "model.dense_dropout": "interval(0.0, 0.5)"}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_proposes_points_of_the_space(name, composed, parsed):
    if name == "gp" and importlib.util.find_spec("torch") is None:
        pytest.skip("gp needs PyTorch")
    sampler = OmegaConf.to_container(composed(f"hydra/sweeper/sampler={name}").hydra.sweeper.sampler)
    searched = parsed(OmegaConf.create(FINITE if name in ("grid", "brute_force") else CONTINUOUS))
    proposer = Proposer(sampler, searched, seed=0)
    study = optuna.create_study()
    seen = []
    for _ in range(4):
        trial = create_entry(study, proposer.propose(study, study.trials, study.trials, study.pruner))
        study.tell(trial.number, 0.5)
        seen.append(tuple(trial.found.params.values()))
    assert len(set(seen)) == 4


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is here")
def test_the_sampler_that_needs_pytorch_says_so(composed, parsed):
    sampler = OmegaConf.to_container(composed("hydra/sweeper/sampler=gp").hydra.sweeper.sampler)
    with pytest.raises(InputError, match="pip install torch"):
        Proposer(sampler, parsed(OmegaConf.create(CONTINUOUS)), seed=0)


NEEDED = {
    "threshold": ["hydra.sweeper.pruner.lower=0.1"],
}
"""What these pruners cannot have a default for."""


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "promote"])
def test_every_pruner_ends_a_hopeless_trial(name, composed):
    config = composed(f"hydra/sweeper/pruner={name}", *NEEDED.get(name, []))
    spec = OmegaConf.to_container(config.hydra.sweeper, resolve=True)["pruner"]
    study = optuna.create_study(direction="maximize", pruner=pruner_for(spec))
    for _ in range(12):
        trial = study.ask()
        trained(trial, start=0.9)
        study.tell(trial, 0.9)
    hopeless = [study.ask() for _ in range(4)]  # Hyperband lets the longest of its brackets go on
    assert any(trained(trial, start=0.05) < 8 for trial in hopeless)


def trained(trial: optuna.Trial, *, start: float) -> int:
    """Report eight values that fall and fall; return the step after which the pruner had seen enough."""
    for step in range(1, 9):
        trial.report(start - step / 1000, step)
        if trial.should_prune():
            break
    return step


@pytest.mark.parametrize("name", NEEDED)
def test_a_pruner_whose_bound_is_not_given_is_refused(name, composed):
    spec = OmegaConf.to_container(composed(f"hydra/sweeper/pruner={name}").hydra.sweeper.pruner)
    with pytest.raises(InputError, match=r"hydra\.sweeper\.pruner"):
        pruner_for(spec)


def test_no_sampler_and_no_pruner_are_choices_too(composed):
    sweeper = composed("hydra/sweeper/sampler=auto", "hydra/sweeper/pruner=none").hydra.sweeper
    assert (sweeper.sampler, sweeper.pruner) == (None, None)


def test_run_level_keys_are_all_in_the_schema(composed):
    assert set(composed()) - {"hydra"} == set(runback.classifier.train_config.TrainConfig.__annotations__)
