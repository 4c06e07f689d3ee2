import io

from runback.system.text.redacted_output import LONGEST, RedactedStream, WholeLines

BEGIN, END = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"


def test_text_is_held_back_until_its_line_is_whole():
    lines = WholeLines()
    assert lines.add("a\nb") == "a\n"
    assert lines.add("c\rd") == "bc\r"
    assert (lines.take(), lines.take()) == ("d", "")


def test_a_private_key_is_held_back_until_its_end_is_there():
    lines = WholeLines()
    assert lines.add(f"a\n{BEGIN}\nAAAA\n") == "a\n"
    assert lines.take() == ""
    assert lines.add(f"BBBB\n{END}\n") == f"{BEGIN}\nAAAA\nBBBB\n{END}\n"
    lines.add(BEGIN)
    assert lines.take_all() == BEGIN


def test_what_has_no_end_is_not_held_back_for_good():
    lines = WholeLines()
    assert lines.add("a" * LONGEST) == ""
    assert lines.add("b") == "a" * LONGEST + "b"
    assert len(lines.add(f"{BEGIN}\n" + "A" * LONGEST)) > LONGEST


def test_a_streams_private_key_is_hidden_whole():
    out = io.StringIO()
    stream = RedactedStream(out)
    for line in ("before\n", f"{BEGIN}\n", "QUFB\n", f"{END}\n", "after"):
        stream.write(line)
        stream.flush()
    assert "QUFB" not in out.getvalue()
    assert out.getvalue().startswith("before\n")
    assert out.getvalue().endswith("after")
