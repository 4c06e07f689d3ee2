import json
import time
import tracemalloc

import pytest

from runback.errors import InputError
from runback.provenance.bundle.manifest import MAX_MANIFEST_BYTES, FileSum, Manifest, decode, encode

SUM = "0" * 64


def manifest(files=None, **changes):
    """The text of a good manifest in which some fields are replaced."""
    content = {"format": "runback-bundle-1", "run": {"id": "a1"}, "files": files or {}} | changes
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def refusal(data):
    with pytest.raises(InputError) as caught:
        decode(data)
    line = str(caught.value)
    assert line.startswith("manifest.json")
    assert "\n" not in line
    assert len(line) < 1000
    return line


def test_what_is_encoded_is_decoded():
    facts = {"id": "a1", "metrics": {"val_accuracy": 0.1 + 0.2}, "tags": ["ü", None, True]}
    given = Manifest(facts, {"config.yaml": FileSum(SUM, 3), "record/record.json": FileSum("f" * 64, 0)})
    assert decode(encode(given)) == given


def test_the_order_of_the_facts_does_not_change_the_bytes():
    one = Manifest({"a": 1, "b": 2}, {"c": FileSum(SUM, 1), "d": FileSum(SUM, 2)})
    other = Manifest({"b": 2, "a": 1}, {"d": FileSum(SUM, 2), "c": FileSum(SUM, 1)})
    assert encode(one) == encode(other)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "\ud800"])
def test_a_fact_that_json_cannot_hold_is_refused(value):
    with pytest.raises(InputError, match="cannot hold the given facts"):
        encode(Manifest({"loss": value}, {}))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "must be JSON"),
        (b"\xff\xfe\x00", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b"1" * 10_000, "must be JSON"),
        (b"[]", "format must be 'runback-bundle-1'; got []"),
        (b"{}", "format must be 'runback-bundle-1'; got None"),
        (manifest(format="runback-bundle-2"), "format must be 'runback-bundle-1'; got 'runback-bundle-2'"),
        (manifest(format=["x"] * 500_000), "format must be"),
        (manifest(run=[]), "run must be an object; got []"),
        (manifest(files=["config.yaml"]), "files must be an object; got ['config.yaml']"),
        (manifest(more=1), "must have the keys files, format, run; got 'files, format, more, run'"),
        (manifest({"a": 3}), "files['a'] must be an object; got 3"),
        (manifest({"a": {"sha256": SUM}}), "files['a'] must have the keys bytes, sha256; got 'sha256'"),
        (manifest({"a": {"sha256": SUM, "bytes": 1, "x": 1}}), "must have the keys bytes, sha256"),
        (
            manifest({"a": {"sha256": 7, "bytes": 1}}),
            "files['a'].sha256 must be 64 hexadecimal digits; got 7",
        ),
        (manifest({"a": {"sha256": SUM[1:], "bytes": 1}}), "must be 64 hexadecimal digits"),
        (manifest({"a": {"sha256": "F" * 64, "bytes": 1}}), "must be 64 hexadecimal digits"),
        (manifest({"a": {"sha256": SUM + "\n", "bytes": 1}}), "must be 64 hexadecimal digits"),
        (
            manifest({"a": {"sha256": SUM, "bytes": -1}}),
            "files['a'].bytes must be a whole number from 0; got -1",
        ),
        (manifest({"a": {"sha256": SUM, "bytes": 1.0}}), "must be a whole number from 0; got 1.0"),
        (manifest({"a": {"sha256": SUM, "bytes": True}}), "must be a whole number from 0; got True"),
        (manifest({"a": {"sha256": SUM, "bytes": "1"}}), "must be a whole number from 0; got '1'"),
        (manifest({"a": {"sha256": SUM, "bytes": 2**32 + 1}}), "at most 4294967296 bytes; got 4294967297"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "must have at most 6291456 bytes"),
    ],
)
def test_another_form_is_refused_in_one_line(data, said):
    assert said in refusal(data)


@pytest.mark.parametrize(
    "data",
    [
        manifest().replace(b'"run"', b'"run": {},\n "run"'),  # a key twice
        manifest(run={"loss": 1}).replace(b"1\n", b"NaN\n"),
        manifest().replace(b"a1", b"\\ud800"),
        manifest().decode().encode("utf-16"),
        manifest().replace(b"\n", b"\r\n"),
        manifest() + b" ",
    ],
)
def test_what_two_readers_may_read_in_two_ways_is_refused(data):
    assert any(words in refusal(data) for words in ["not in the form", "cannot hold"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil", "has '..' in its name"),
        ("a/../../evil", "has '..' in its name"),
        ("..", "has '..' in its name"),
        ("/etc/passwd", "absolute"),
        ("C:/evil", "colon"),
        ("a:stream", "colon"),
        ("a\\..\\evil", "backslash"),
        ("", "empty"),
        ("a//b", "empty"),
        ("a/", "empty"),
        ("a/./b", "dot"),
        ("model.keras.", "dot"),
        ("a /b", "space"),
        ("a\nb", "control character"),
        ("a\0b", "control character"),
        ("a\u202eb", "cannot be seen"),
        ("a" * 513, "513 characters"),
        ("a" * 60_000, "60000 characters"),
    ],
)
def test_an_unsafe_name_is_refused(name, said):
    assert said in refusal(manifest({name: {"sha256": SUM, "bytes": 1}}))


@pytest.mark.parametrize(
    "name", ["config.yaml", "a b/ü.txt", ".gitignore", "a/..b/c", "a..b", "日本/模型.keras"]
)
def test_an_ordinary_name_is_taken(name):
    assert name in decode(manifest({name: {"sha256": SUM, "bytes": 1}})).files


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model.keras", "Model.keras"),
        ("straße", "STRASSE"),
        ("\u00fc", "u\u0308"),  # composed and decomposed
        ("a", "a/b"),
        ("a/B", "A/b/c/d"),
        ("a.b", "manifest.json"),
        ("a.b", "Manifest.JSON"),
    ],
)
def test_two_names_for_one_place_are_refused(one, other):
    files = {name: {"sha256": SUM, "bytes": 1} for name in (one, "a-b", "b/c", other)}
    assert any(words in refusal(manifest(files)) for words in ["the same name", "both a file and the folder"])


def seconds_to_decode(prefix):
    files = {f"{prefix}{i:05d}": {"sha256": SUM, "bytes": 1} for i in range(9_500)}
    data = manifest(files)
    assert len(data) > 0.8 * MAX_MANIFEST_BYTES
    begin = time.process_time()
    assert len(decode(data).files) == 9_500
    return time.process_time() - begin


def test_deep_names_are_checked_about_as_fast_as_flat_ones_of_the_same_length():
    assert seconds_to_decode("a/" * 250) < 5 * seconds_to_decode("aa" * 250)


def test_a_manifest_that_would_be_far_longer_in_the_form_of_runback_takes_no_memory():
    deep = b"[" * 400 + b",".join([b"0"] * 20_000) + b"]" * 400
    tracemalloc.start()
    try:
        message = refusal(b'{"files":{},"format":"runback-bundle-1","run":{"a":' + deep + b"}}")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "not in the form" in message
    assert most < 4 * 2**20
