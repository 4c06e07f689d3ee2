import pytest
from omegaconf import OmegaConf

from runback.system.config.interpolation import foreign, resolved, variables


def test_what_depends_on_the_environment_stays_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DSN", "postgresql://me:hunter2@host/db")
    cfg = OmegaConf.create(
        {
            "dsn": "${oc.env:MY_DSN}",
            "again": "${dsn}",
            "parts": ["${dsn}/x", "${size}", {"deep": "${oc.decode:${oc.env:MY_NUMBER,3}}"}],
            "whole": "${parts}",
            "size": 3,
            "twice": "${size}${size}",
        }
    )

    config, reads = resolved(cfg)

    assert "hunter2" not in str(config)
    assert config["dsn"] == "${oc.env:MY_DSN}"
    assert config["again"] == "${dsn}"
    assert config["parts"] == ["${dsn}/x", 3, {"deep": "${oc.decode:${oc.env:MY_NUMBER,3}}"}]
    assert config["whole"] == "${parts}"
    assert config["twice"] == "33"
    assert reads["dsn"] == reads["again"] == reads["parts.0"] == ["MY_DSN"]
    assert reads["parts.2.deep"] == ["MY_NUMBER"]
    assert OmegaConf.to_container(OmegaConf.create(config), resolve=True)["again"].startswith("postgresql://")


def test_the_variables_that_a_config_names_are_listed() -> None:
    tree = {"a": "${oc.env:HOME}/x", "b": ["${oc.env:TOKEN,none}"], "c": "${a}"}

    assert variables(tree) == {"a": ["HOME"], "b.0": ["TOKEN"]}


@pytest.mark.parametrize(
    "text",
    [
        "${hydra:runtime.cwd}",
        "${oc.env:HOME}",
        "${oc.create:{a:1}}",
        "${oc.decode:${a}}",
        "${${a}:HOME}",
        "${oc.env:${a}}",
        "a ${b} ${oc.env:X}",
    ],
)
def test_a_resolver_is_foreign(text: str) -> None:
    assert foreign({"key": [text]}) == [("key.0", text)]


def test_references_are_not_foreign_and_variables_only_where_they_are_not_allowed() -> None:
    tree = {"a": "${b.c[0]}", "b": "${oc.env:X,y}"}

    assert foreign(tree) == [("b", "${oc.env:X,y}")]
    assert foreign(tree, environment=True) == []
