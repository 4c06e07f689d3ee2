import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from runback.system.config.override_error import override_error


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
