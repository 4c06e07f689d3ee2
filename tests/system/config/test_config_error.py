import pytest
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.errors import InputError
from runback.system.config.config_error import LEXER, config_error
from runback.system.config.written_config import resolved

UNRESOLVABLE = {
    "${nope}": "Interpolation key 'nope' not found (for a)",
    "${oc.env:NOPE}": "environment variable 'NOPE' not found: set it, or give a default",
    "${a}": "Recursive interpolation detected (for a)",
    "${b}": "Recursive interpolation detected (for",
    "${unknown:1}": "Unsupported interpolation type unknown (for a)",
    "${oc.env:}": "(for a)",
    "${..x}": "(for a)",
    "${oc.decode:'['}": "'${' begins an interpolation",
    "${c[5]}": "(for a)",
}


@pytest.mark.parametrize(("text", "said"), UNRESOLVABLE.items())
def test_an_interpolation_that_does_not_resolve_is_one_line_with_its_key(text, said, monkeypatch):
    monkeypatch.delenv("NOPE", raising=False)
    config = OmegaConf.create({"a": text, "b": "${a}", "c": [1]})
    with pytest.raises(InputError) as refused:
        resolved(config)
    message = str(refused.value)
    assert said in message
    assert "\n" not in message
    assert not LEXER.search(message)
    assert "raised while" not in message


@pytest.mark.parametrize("text", ["${", "${}", "${oc.env:HOME", "${a", "x${"])
def test_what_is_no_interpolation_is_explained_without_the_parsers_words(text):
    with pytest.raises(OmegaConfBaseException) as raised:
        OmegaConf.create({"a": text})
    message = config_error(raised.value)
    assert message.startswith(r"'${' begins an interpolation, as ${key} or ${oc.env:NAME}; write \${")
    assert message.endswith("(for a)")


@pytest.mark.parametrize("text", ["a: [", "\ta: 1", "a: b: c", "a: \x00"])
def test_what_is_no_yaml_is_said_with_its_place(text):
    with pytest.raises(yaml.YAMLError) as raised:
        yaml.safe_load(text)
    assert "no YAML: " in config_error(raised.value)
    assert "\n" not in config_error(raised.value)
