import pytest

from runback.runs.started.started_task import lacks_secrets, without_secrets


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["--lr", "0.1", "lr=0.1", "-v"], ["--lr", "0.1", "lr=0.1", "-v"]),
        (["--api-key", "abcdef123456"], ["--api-key", "***"]),
        (["--api-key=abcdef123456", "--epochs=3"], ["--api-key=***", "--epochs=3"]),
        (["model.password=abcdef123456"], ["model.password=***"]),
        (["--api-key", "${oc.env:KEY}"], ["--api-key", "${oc.env:KEY}"]),
    ],
)
def test_a_command_line_is_written_without_its_secrets(arguments, written):
    assert without_secrets(arguments) == written
    assert lacks_secrets(written) == ("***" in str(written))


def test_a_password_in_an_address_is_left_out():
    [written] = without_secrets(["--store=postgresql://me:hunter2secret@host/db"])
    assert "hunter2secret" not in written
