import json
from pathlib import Path

import pytest

from runback.errors import InputError
from runback.provenance.machine.lock_file import read_lock

WHEEL = 'wheels = [{ url = "https://files.pythonhosted.org/a-1-py3-none-any.whl" }]'
PYPI = 'source = { registry = "https://pypi.org/simple" }'


def lock(*packages: str) -> bytes:
    tables = "\n".join(f'[[package]]\nname = "{chr(97 + n)}"\n{facts}\n' for n, facts in enumerate(packages))
    return f"version = 1\n{tables}".encode()


def test_wheels_of_the_usual_registry_are_nothing_to_ask_about():
    found = read_lock(lock(f"{PYPI}\n{WHEEL}"))
    assert (found.count, found.elsewhere, found.unbuilt) == (1, (), ())


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (f'source = {{ registry = "https://evil.example/simple" }}\n{WHEEL}', "https://evil.example/simple"),
        (f'{PYPI}\nwheels = [{{ url = "https://evil.example/a.whl" }}]', "https://evil.example"),
        (f'{PYPI}\nwheels = [{{ path = "../a.whl" }}]', "the file ../a.whl"),
        (f'{PYPI}\nwheels = [{{ url = "file:///tmp/a.whl" }}]', "the file file:///tmp/a.whl"),
        (f'{PYPI}\n{WHEEL}\nsdist = {{ url = "https://evil.example/a.tar.gz" }}', "https://evil.example"),
        ('source = { url = "https://evil.example/a.whl" }', "url https://evil.example/a.whl"),
        ('source = { git = "https://evil.example/a#1" }', "git https://evil.example/a#1"),
        ('source = { directory = "a" }', "directory a"),
        ('source = { path = "a.tar.gz" }', "path a.tar.gz"),
        ('source = { editable = "sub" }', "editable sub"),
    ],
)
def test_a_package_from_elsewhere_is_named_with_its_place(facts, told):
    assert read_lock(lock(facts)).elsewhere == (f"a ({told})",)


@pytest.mark.parametrize(
    "address",
    [
        r"http://127.0.0.1:8000\@files.pythonhosted.org/a.whl",
        r"https://evil.example\@files.pythonhosted.org/a.whl",
        "https://evil.example\t\\@files.pythonhosted.org/a.whl",
        "https://name:word@files.pythonhosted.org/a.whl",
        "https:/files.pythonhosted.org/a.whl",
        "https:///files.pythonhosted.org/a.whl",
        "file://files.pythonhosted.org/a.whl",
        "https://files.pythonhosted.org",
        "https://files.pythonhosted.org\n.evil.example/a.whl",
        "https://FILES.pythonhosted.org/a.whl",
        "https://files.pythonhosted.org/\u00e4.whl",
    ],
)
def test_an_address_whose_host_two_readers_may_read_in_two_ways_is_shown_whole(address):
    (told,) = read_lock(lock(f"{PYPI}\nwheels = [{{ url = {json.dumps(address)} }}]")).elsewhere
    assert told == f"a (the file {address})"


@pytest.mark.parametrize("place", ["http://files.pythonhosted.org", "https://files.pythonhosted.org:8443"])
def test_another_scheme_or_port_is_another_place(place):
    assert read_lock(lock(f'{PYPI}\nwheels = [{{ url = "{place}/a.whl" }}]')).elsewhere == (f"a ({place})",)


def test_a_file_with_an_address_and_a_path_is_from_elsewhere():
    both = 'wheels = [{ url = "https://files.pythonhosted.org/a.whl", path = "../a.whl" }]'
    (told,) = read_lock(lock(f"{PYPI}\n{both}")).elsewhere
    assert told == "a (the file https://files.pythonhosted.org/a.whl or ../a.whl)"


def test_a_lock_file_of_this_project_is_read():
    found = read_lock(Path(__file__).parents[3].joinpath("uv.lock").read_bytes())
    assert found.count > 100
    assert found.elsewhere == ()


def test_places_in_use_here_are_nothing_to_ask_about():
    other = lock(f'source = {{ registry = "https://own.example/simple" }}\n{WHEEL}')
    usual = read_lock(other).places
    assert read_lock(other, usual).elsewhere == ()
    assert read_lock(other).elsewhere


@pytest.mark.parametrize(
    "facts",
    [
        f'{PYPI}\nsdist = {{ url = "https://files.pythonhosted.org/a.tar.gz" }}',
        'source = { git = "https://evil.example/a#1" }',
        'source = { url = "https://evil.example/a.tar.gz" }',
        'source = { directory = "a" }',
    ],
)
def test_a_package_without_a_wheel_is_named_as_one_to_build(facts):
    assert len(read_lock(lock(facts)).unbuilt) == 1


def test_the_project_itself_is_no_package_of_a_lock():
    assert read_lock(lock('source = { editable = "." }', 'source = { virtual = "." }')).count == 0


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"no toml",
        b"package = 3",
        b'[[package]]\nname = "a"',
        b'[[package]]\nsource = "text"',
        b"package = [1]",
        b'[[package]]\nsource = { registry = "x" }\nwheels = 3',
        b"a = " + b"[" * 100_000,
        b"a" + b".a" * 500_000 + b" = 1",  # tomllib would take hours
        b"\n".join(b"x%d" % n + b".a" * 180 + b" = 1" for n in range(4000)),
        b"\n".join(b"[x%d" % n + b' . "a"' * 180 + b"]" for n in range(4000)),
        b"y = [\n" + b"\n".join(b"{ x" + b".'a'" * 180 + b" = 1 }," for _ in range(4000)) + b"]",
        b'x = """\n"""',
        b"#" * (4 * 2**20 + 1),
    ],
    ids=lambda content: repr(content[:12]),
)
@pytest.mark.timeout(20)
def test_what_is_no_lock_file_is_one_line(content):
    with pytest.raises(InputError, match=r"^uv\.lock ") as error:
        read_lock(content)
    assert "\n" not in str(error.value)
