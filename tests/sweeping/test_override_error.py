import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from runback.sweeping.override_error import override_error


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("data.path=~/x", "quote its value: \"data.path='~/x'\""),
        ("a=x=y", "quote its value: \"a='x=y'\""),
        ("a=it's", "quote its value: 'a='\"'\"'it\\'\"'\"'s'\"'\"''"),
        ("a=`x`", "quote its value: 'a='\"'\"'`x`'\"'\"''"),
        ("a=(1,2)", "quote its value: \"a='(1,2)'\""),
        ("a=choice(1,2", "the bracket ( is not closed"),
        ("a=[1,2", "the bracket [ is not closed"),
        ("a={x:[1,2}", "the bracket } closes none"),
        ("a='x", "the quote ' is not closed"),
        ("a=1,", "a value is missing beside a comma; the empty text is written ''"),
        ("a=choice(,1)", "a value is missing beside a comma; the empty text is written ''"),
        ("a=choice(null,1)", "choice() takes no null; write null,1"),
        ("a=uniform(0,1)", "there is no uniform(); write interval(LOW, HIGH)"),
        ("a=~/b,~/c", "quote its texts: \"a='~/b','~/c'\""),
        ("a=choice(~/b,~/c)", "quote its texts: \"a=choice('~/b','~/c')\""),
        ("a=[~/b,c]", "quote its texts: \"a=['~/b',c]\""),
        ("a={b: ~/x, c: 1}", "quote its texts: \"a={b: '~/x', c: 1}\""),
        ("a=x=y,1e3", "quote its texts: \"a='x=y',1e3\""),
        ("a=~/b, c", "quote its texts: \"a='~/b', c\""),
        ("a=foo(1,2)", "str, tag. A text with brackets is quoted: 'foo(1,2)'"),
        ("a=choise(1,2)", "did you mean choice()? A text with brackets is quoted: 'choise(1,2)'"),
        ("a=interval(1)", "expected interval(LOW, HIGH) with two numbers; got interval(1)"),
        ("a=tag(log,interval(x,2))", "expected interval(LOW, HIGH) with two numbers; got interval(x,2)"),
        ("a..b=1", "'a..b' is no key"),
        ("a b=1", "'a b' is no key"),
        ("a =tag(log,b)", "'a ' is no key"),
        ("a:b=~", "'a:b' is no key"),
    ],
)
def test_an_override_that_cannot_be_read_is_told_as_it_would_be_written(override, advice):
    with pytest.raises(HydraException) as caught:
        OverridesParser.create().parse_override(override)
    text = override_error(override, str(caught.value))
    assert text.startswith(f"cannot read '{override}': ")
    assert advice in text
    assert "LexerNoViableAlt" not in text


@pytest.mark.parametrize("override", ["data.path=~/x", "a=x=y", "a=(1,2)", "a=#b", "a=<b>"])
def test_the_advice_can_be_read(override):
    with pytest.raises(HydraException) as caught:
        OverridesParser.create().parse_override(override)
    advice = override_error(override, str(caught.value)).partition("quote its value: ")[2].strip('"')
    assert OverridesParser.create().parse_override(advice).value() == override.partition("=")[2]


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("a=~/b,~/c", ["~/b", "~/c"]),
        ("a=choice(~/b, it's, 1e3)", ["~/b", "it's", 1000.0]),
        ("a=x=y,null,[1,2]", ["x=y", None, [1, 2]]),
    ],
)
def test_the_advice_for_several_values_has_as_many(override, values):
    with pytest.raises(HydraException) as caught:
        OverridesParser.create().parse_override(override)
    [advice] = shlex.split(override_error(override, str(caught.value)).partition("quote its texts: ")[2])
    elements = OverridesParser.create().parse_override(advice).sweep_iterator()
    assert [getattr(element, "text", element) for element in elements] == values
