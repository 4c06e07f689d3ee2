import pytest

from runback.system.secrecy import redacted, without_credentials


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("git@host.example:group/project.git", "git@host.example:group/project.git"),
        ("ssh://git@host.example/project.git", "ssh://host.example/project.git"),
        ("https://token@host.example/p", "https://host.example/p"),
        ("https://me:p@ss@host.example/p", "https://host.example/p"),
        ("../elsewhere", "../elsewhere"),
        ("/srv/git/project.git", "/srv/git/project.git"),
    ],
)
def test_each_form_of_a_remote(url, shown):
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hun/ter2@host/x",
        "https://u:p@s/hunter2@h/x",
        "postgres://me:hun?ter2@host/db",
        "redis://:hun/ter2@h:6379/0",
        "https://me:12/ter2@host/x",
        "https://h/?a=1&token=hunter2",
        "https://h/?sig=hunter2&a=1",
        "https://h/?X-Amz-Signature=hunter2",
    ],
)
def test_no_part_of_a_password_is_left_of_an_address(url):
    shown = redacted(f"see {url} now")
    assert "ter2" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "url",
    [
        *("https://medium.com/@user/x", "https://cdn.example/pkg@1.2.3/x", "http://localhost:5000/@x"),
        *("https://host/p?email=me@x.com", "postgresql://${oc.env:U}:${oc.env:P}@h/db", "git@host:path"),
    ],
)
def test_an_address_without_a_password_stays(url):
    assert redacted(url) == url
