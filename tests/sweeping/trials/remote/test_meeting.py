import os
import ssl
import stat

import pytest

from runback.errors import InputError
from runback.sweeping.trials.remote.meeting import FILE, Meeting, own_hosts, remove, server_context

MEETING = Meeting(("node1", "10.0.0.1"), 4711, "PEM", "token")


def test_it_is_read_as_it_was_written_and_nobody_else_may(tmp_path):
    before = os.umask(0)
    try:
        MEETING.write(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert Meeting.read(tmp_path) == MEETING
    remove(tmp_path)
    assert Meeting.read(tmp_path) is None


def test_what_others_may_read_is_none_of_ours(tmp_path):
    MEETING.write(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(InputError, match="nobody else may read"):
        Meeting.read(tmp_path)


def test_a_link_is_none_of_ours(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    MEETING.write(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere" / FILE)
    with pytest.raises(InputError, match="none of ours"):
        Meeting.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hosts": 1}', '{"hosts": [], "port": "x"}', "[" * 50_000])
def test_a_damaged_one_is_one_line(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(InputError, match="cannot be read"):
        Meeting.read(tmp_path)


def test_other_machines_come_before_this_ones_own_address():
    hosts = own_hosts()
    assert hosts[-1].startswith("127.")
    assert not hosts[0].startswith("127.")


def test_each_coordinator_has_a_certificate_of_its_own():
    context, first = server_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert first != server_context()[1]
    assert "PRIVATE" not in first
