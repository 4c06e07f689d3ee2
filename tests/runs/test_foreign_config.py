import pytest
from omegaconf import OmegaConf

from runback.errors import InputError
from runback.runs import foreign_config


def doubling(reference: str) -> str:
    """Write eight values that each hold the one before twice."""
    lines = [f"z{n}: ['{reference}{n - 1}}}', '{reference}{n - 1}}}']\n" for n in range(1, 9)]
    return "z0: [1, 2]\n" + "".join(lines)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &x [1]\nb: *x", "alias"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]", "alias"),
        ("a: !!python/object/apply:os.system [true]", "tag"),
        ("a: !!binary aGVsbG8=", "tag"),
        ("[" * 40, "too deep"),
        ("[" + "[]," * 5_000 + "]", "more than 10,000 keys and values"),
        ("a: " + "x" * 10_001, "10,001 characters"),
        ("a: ${oc.decode:x}", "interpolation"),
        ("a: ${hydra:runtime.cwd}", "interpolation"),
        ("a: ${oc.env:${b}}", "interpolation"),
        ("${oc.create:x}: 1", "interpolation"),
        ("a: '${x}${x}${x}${x}${x}${x}${x}${x}${x}${x}${x}${x}${x}${x}${x}${x}${x}'", "17 interpolations"),
        (doubling("${z"), "grows too large"),
        (doubling("${..z"), "grows too large"),
        ("a: ${b}\nb: ${a}", "in a circle"),
        ("seed: 0x" + "f" * 5000, "a number of 20,000 bits"),
        ("a: [", "damaged"),
        ("a: \0", "damaged"),
        ("x" * (foreign_config.MAX_BYTES + 1), "bytes; expected at most"),
    ],
)
def test_a_harmful_text_is_refused_in_one_line_before_it_is_parsed(text, told):
    with pytest.raises(InputError, match=told) as error:
        foreign_config.refuse_harmful(text.encode(), "config.yaml")
    assert "\n" not in str(error.value)


def test_references_and_the_environment_are_allowed_in_a_config():
    foreign_config.refuse_harmful(b"a: ${b}\nb: '${oc.env:MY_DSN,none}/x'\n", "config.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tracking: {experiment: '${oc.env:MY_TOKEN}'}", "tracking.experiment must be a plain value"),
        ("name: x\ntracking: {experiment: '${name}'}", "must be a plain value"),
        ("tracking: {experiment: ../x}", "folder"),
        ("tracking: {experiment: /etc}", "folder"),
        ("tracking: {experiment: '..'}", "folder"),
        ('tracking: {experiment: "\\e[8m"}', "printable"),
        ("tracking: {experiment: 3}", "printable"),
        ("tracking: {experiment: [a]}", "printable"),
        ("a: os.system\nmodel: {_target_: '${a}'}", "model._target_ must be a plain name"),
        ("model: {layers: [{_target_: 3}]}", r"model.layers.0._target_ must be a plain name"),
    ],
)
def test_a_config_that_hides_where_it_goes_is_refused(text, told):
    with pytest.raises(InputError, match=told) as error:
        foreign_config.check(OmegaConf.create(text), "config.yaml")
    assert "\n" not in str(error.value)


def test_what_a_config_reaches_for_is_told():
    text = """
    model: {_target_: nets.build, layer: {_target_: keras.layers.Dense}}
    data:
      {_target_: runback.classifier.data.folder.load, path: "${root}etc", dsn: "${oc.env:MY_DSN}",
       b: "${data.dsn}"}
    other: {path: pictures, up: a/../../b, home: ~/x, url: https://example.org/x, maybe: "${oc.env:A,/x}"}
    root: /
    """
    found = foreign_config.reach(OmegaConf.create(text), "config.yaml")
    assert found.variables == (("MY_DSN", "data.dsn"), ("A", "other.maybe"))
    assert dict(map(reversed, found.paths)) == {
        "data.path": "/etc",
        "other.up": "a/../../b",
        "other.home": "~/x",
        "other.url": "https://example.org/x",
        "other.maybe": "/x",
        "root": "/",
    }
    assert found.calls == (("nets.build", "model._target_"),)


@pytest.mark.parametrize("text", ["a: ${b}", "a: ${b}\nb: ${a}", "a: ${a}"])
def test_a_reference_that_leads_nowhere_is_one_line(text):
    with pytest.raises(InputError, match=r"config\.yaml cannot be used: ") as error:
        foreign_config.reach(OmegaConf.create(text), "config.yaml")
    assert "\n" not in str(error.value)
