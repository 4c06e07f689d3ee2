from runback.system.text.excerpt import SAID, excerpt, said


class Mute(Exception):  # noqa: N818 - its text is the error
    def __str__(self):
        raise ValueError


def test_an_excerpt_has_both_ends_and_says_what_it_left_out():
    assert excerpt("short", 10) == "short"
    assert excerpt("a" * 500 + "b" * 500, 10) == "aaaaa\n… 990 characters left out …\nbbbbb"


def test_what_an_exception_says_is_bounded_and_never_raises():
    assert said(ValueError("text")) == "text"
    assert len(said(ValueError("x" * 10_000_000))) < SAID + 100
    assert said(Mute()) == "(its text cannot be had: ValueError)"
