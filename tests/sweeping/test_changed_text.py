from dataclasses import dataclass, field

import pytest
from omegaconf import OmegaConf

from runback.errors import InputError
from runback.sweeping.changed_text import refuse_changed_text


@dataclass
class Schema:
    name: str = "x"
    count: int = 1
    names: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)


@pytest.mark.parametrize("written", ["1e3", "1_000", "true", "1.50", "0x", "+7", "-0"])
def test_a_text_that_would_be_another_one_is_refused(written):
    config = OmegaConf.merge(OmegaConf.structured(Schema), {"name": _read(written)})
    if config.name == written:
        refuse_changed_text([f"name={written}"], config)
        return
    with pytest.raises(InputError, match="quote it") as caught:
        refuse_changed_text([f"name={written}"], config)
    assert f"\"name='{written}'\"" in str(caught.value)


@pytest.mark.parametrize("override", ["name=7", "name=1.5", "name='1e3'", "count=1_0", "~name", "other=1e3"])
def test_what_keeps_its_text_is_accepted(override):
    config = OmegaConf.structured(Schema)
    config.name = {"name=7": "7", "name=1.5": "1.5"}.get(override, "1e3")
    refuse_changed_text([override], config)


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("names=[1e3,2]", "names=['1e3',2]"),
        ("names=[a, 1.10]", "names=[a, '1.10']"),
        ("named={a: 1e3, b: 7}", "named={a: '1e3', b: 7}"),
    ],
)
def test_a_text_in_a_list_or_a_mapping_is_kept_or_refused_too(override, advice):
    key, _, written = override.partition("=")
    config = OmegaConf.merge(OmegaConf.structured(Schema), {key: _read(written)})
    with pytest.raises(InputError, match="quote it") as caught:
        refuse_changed_text([override], config)
    assert f'"{advice}"' in str(caught.value)
    config = OmegaConf.merge(OmegaConf.structured(Schema), {key: _read(advice.partition("=")[2])})
    refuse_changed_text([advice], config)


def _read(written):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(f"name={written}").value()
