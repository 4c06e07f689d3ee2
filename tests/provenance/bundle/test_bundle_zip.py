"""Damage and forgery: each bundle here is a real zip that somebody could hand in."""

import hashlib
import json
import stat
import struct
import time
import tracemalloc
import warnings
import zipfile
import zlib

import pytest

from runback.errors import InputError
from runback.provenance.bundle.bundle_file import inspect_bundle, open_bundle, verify, write_bundle

FILES = {
    "config.yaml": b"epochs: 3\n" * 20,
    "model.keras": bytes(range(200)),
    "record/record.json": b'{"format": "runback-record-1"}\n',
}
CENTRAL, LOCAL = b"PK\1\2", b"PK\3\4"
MEBIBYTE = 2**20


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "run.zip"
    write_bundle(path, {"id": "a1"}, FILES)
    return path


@pytest.fixture
def forge(tmp_path):
    """Writes a zip with a manifest for `listed` that holds `entries`, sealed as a forger would."""

    def write(entries, listed=FILES, manifest=None, first=()):
        files = {n: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for n, c in listed.items()}
        content = {"format": "runback-bundle-1", "run": {"id": "a1"}, "files": files}
        text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"
        path = tmp_path / "forged.zip"
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            warnings.simplefilter("ignore")  # zipfile's own about duplicates
            archive.comment = b"0" * 64
            for name, data in [*first, ("manifest.json", text if manifest is None else manifest), *entries]:
                archive.writestr(name, data)
        reseal(path)
        return path

    return write


def reseal(path):
    data = path.read_bytes()[:-64]
    path.write_bytes(data + hashlib.sha256(data).hexdigest().encode())


def patch(path, name, signature, offset, form, *values):
    """Overwrite a field in the header of a file, in the directory (CENTRAL) or before the data (LOCAL)."""
    data = bytearray(path.read_bytes())
    length = 46 if signature == CENTRAL else 30
    at = data.find(signature)
    while data[at + length : at + length + len(name)] != name.encode():
        at = data.index(signature, at + 1)
    struct.pack_into(form, data, at + offset, *values)
    path.write_bytes(data)
    reseal(path)


def data_range(path, name):
    """Where the packed content of a file lies in its zip."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
    header = path.read_bytes()[info.header_offset : info.header_offset + 30]
    begin = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    return range(begin, begin + info.compress_size)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    path.write_bytes(data)


def refusal(path):
    """The one line with which a bundle is refused, which is also the first that `verify` lists."""
    problems = verify(path)
    assert problems
    assert all(line and "\n" not in line and len(line) < 1000 for line in problems)
    with pytest.raises(InputError) as caught:
        open_bundle(path)
    assert str(caught.value).startswith(f"{path}: {problems[0]}")
    return problems[0]


@pytest.mark.parametrize("name", ["manifest.json", *FILES])
def test_a_flipped_byte_names_its_file(bundle, name):
    intact = bundle.read_bytes()
    for at in data_range(bundle, name):
        bundle.write_bytes(intact)
        flip(bundle, at)
        assert name in refusal(bundle) or "outside its files" in refusal(bundle)
    bundle.write_bytes(intact)
    flip(bundle, data_range(bundle, name)[len(data_range(bundle, name)) // 2])
    assert refusal(bundle).startswith(f"{name} was changed: ")
    assert len(verify(bundle)) == 1


def test_a_changed_sum_is_told_with_both_sums(bundle):
    flip(bundle, data_range(bundle, "model.keras")[7])
    expected = hashlib.sha256(FILES["model.keras"]).hexdigest()
    changed = bytearray(FILES["model.keras"])
    changed[7] ^= 0x01
    got = hashlib.sha256(changed).hexdigest()
    assert refusal(bundle) == (f"model.keras was changed: its SHA-256 is {got}, the manifest says {expected}")


def test_verify_lists_every_problem_and_open_tells_how_many_more(bundle):
    for name in ("config.yaml", "model.keras"):
        flip(bundle, data_range(bundle, name)[5])
    assert [line.split()[0] for line in verify(bundle)] == ["config.yaml", "model.keras"]
    with pytest.raises(
        InputError, match=r"run\.zip: config\.yaml was changed.*and 1 more: see `runback verify`"
    ):
        open_bundle(bundle)


def test_no_changed_byte_anywhere_in_the_zip_stays_unseen(bundle):
    intact = bundle.read_bytes()
    for at in range(len(intact)):
        bundle.write_bytes(intact)
        flip(bundle, at)
        assert refusal(bundle)


def test_no_truncation_stays_unseen(bundle):
    intact = bundle.read_bytes()
    for length in range(len(intact)):
        bundle.write_bytes(intact[:length])
        assert refusal(bundle)


@pytest.mark.parametrize("added", [(b"", b"x"), (b"x", b""), (b"", b"0" * 64)])
def test_bytes_before_or_behind_the_zip_are_seen(bundle, added):
    bundle.write_bytes(added[0] + bundle.read_bytes() + added[1])
    assert "outside its files" in refusal(bundle)


def test_a_forged_byte_anywhere_gives_one_line_or_the_true_content(bundle):
    intact = bundle.read_bytes()
    for at in range(len(intact) - 64):
        data = bytearray(intact)
        data[at] = [0, 0xFF, data[at] ^ 0x80, data[at] ^ 0x01][at % 4]
        bundle.write_bytes(data)
        reseal(bundle)
        if not verify(bundle):
            opened = open_bundle(bundle)
            assert {name: opened.read(name) for name in opened.names} == FILES


@pytest.mark.parametrize("content", [b"", b"a text\n", b"PK\5\6", b"PK\5\6" + bytes(18), bytes(10_000)])
def test_what_is_no_zip_is_refused(tmp_path, content):
    path = tmp_path / "run.zip"
    path.write_bytes(content)
    line = refusal(path)
    assert line.startswith(("the file is no zip", "manifest.json is missing: this is no bundle"))
    assert inspect_bundle(path).fingerprint == ""


def test_a_zip_of_something_else_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert refusal(path) == "manifest.json is missing: this is no bundle of runback"


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"", "manifest.json must be JSON"),
        (b'{"format": "runback-bundle-2"}', "manifest.json: format must be 'runback-bundle-1'"),
        (b'{"files": [], "format": "runback-bundle-1", "run": {}}', "manifest.json: files must be an object"),
        (b" " * 17 * MEBIBYTE, "manifest.json must have at most 6291456 bytes"),
    ],
)
def test_a_manifest_of_another_form_is_refused(forge, manifest, said):
    assert refusal(forge(FILES.items(), manifest=manifest)).startswith(said)


def test_a_forged_bundle_without_a_flaw_is_taken(forge):
    assert verify(forge(FILES.items())) == []


def test_a_missing_file_is_named(forge):
    entries = {name: data for name, data in FILES.items() if name != "model.keras"}
    assert verify(forge(entries.items())) == ["model.keras is missing"]


@pytest.mark.parametrize("name", ["evil.py", "MODEL.keras", "record/extra"])
def test_an_extra_file_is_named(forge, name):
    assert verify(forge([*FILES.items(), (name, b"x")])) == [f"{name!r} is not in the manifest"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_that_is_there_twice_is_refused(forge, order):
    twice = [("model.keras", FILES["model.keras"]), ("model.keras", b"another")][::order]
    entries = [("config.yaml", FILES["config.yaml"]), *twice, *list(FILES.items())[2:]]
    assert refusal(forge(entries)) == "'model.keras' is there 2 times"


def test_a_second_manifest_is_refused(forge):
    assert (
        refusal(forge(FILES.items(), first=[("manifest.json", b"{}")])) == "'manifest.json' is there 2 times"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil", "has '..' in its name"),
        ("a/../../evil", "has '..' in its name"),
        ("/etc/evil", "has an absolute path as its name"),
        ("C:\\evil", "has a backslash or a colon in its name"),
        ("..\\evil", "has a backslash or a colon in its name"),
        ("folder/", "has a part in its name that is empty"),
        ("a//b", "has a part in its name that is empty"),
        ("a\x1bb", "has a control character"),
        ("a" * 600, "has a name of 600 characters"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_an_unsafe_name_is_refused_whether_listed_or_not(forge, name, said, listed):
    content = b"" if name.endswith("/") else b"x"
    path = forge([*FILES.items(), (name, content)], FILES | ({name: content} if listed else {}))
    assert any(f"{name!r} {said}" in line for line in verify(path))
    assert refusal(path)


def test_a_name_of_any_length_makes_no_long_line(forge):
    assert "has a name of 60000 characters" in refusal(forge([*FILES.items(), ("a" * 60_000, b"x")]))


def test_a_name_with_a_hidden_end_is_refused(forge):
    path = forge([*FILES.items(), ("evil.py@.txt", b"x")])
    path.write_bytes(path.read_bytes().replace(b"evil.py@.txt", b"evil.py\0.txt"))
    reseal(path)
    assert "has a control character" in refusal(path)


def test_a_name_that_is_not_in_its_encoding_is_refused(forge):
    path = forge([*FILES.items(), ("ü.txt", b"x")])
    path.write_bytes(path.read_bytes().replace("ü.txt".encode(), b"\xff\xff.txt"))
    reseal(path)
    assert refusal(path).startswith("the file is no zip, or a damaged one: 'utf-8' codec")


def test_a_place_beyond_every_file_is_refused(forge):
    far = zipfile.ZipInfo("config.yaml")
    far.extra = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    path = forge([(far, FILES["config.yaml"]), *list(FILES.items())[1:]])
    patch(path, "config.yaml", CENTRAL, 42, "<I", 2**32 - 1)
    assert refusal(path).startswith("config.yaml was changed: ")


def test_a_symbolic_link_is_refused(forge):
    link = zipfile.ZipInfo("config.yaml")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    entries = [(link, b"/etc/passwd"), *list(FILES.items())[1:]]
    path = forge(entries, FILES | {"config.yaml": b"/etc/passwd"})
    assert refusal(path) == "'config.yaml' is a link or something else that is no file"


def test_two_files_in_one_place_are_refused(forge):
    path = forge(FILES.items())
    with zipfile.ZipFile(path) as archive:
        patch(path, "model.keras", CENTRAL, 42, "<I", archive.getinfo("config.yaml").header_offset)
    assert verify(path) == [
        f"{name!r} lies in the same place of the zip as another file"
        for name in ("config.yaml", "model.keras")
    ]


def test_an_encrypted_file_is_refused(forge):
    path = forge(FILES.items())
    patch(path, "model.keras", CENTRAL, 8, "<H", 1)
    patch(path, "model.keras", LOCAL, 6, "<H", 1)
    assert verify(path) == ["'model.keras' is encrypted"]


def test_another_compression_is_refused(forge):
    path = forge(FILES.items())
    patch(path, "model.keras", CENTRAL, 10, "<H", zipfile.ZIP_LZMA)
    assert refusal(path).startswith("'model.keras' is compressed by method 14")


def test_another_name_in_the_file_s_own_header_is_refused(forge):
    path = forge(FILES.items())
    patch(path, "model.keras", LOCAL, 30, "5s", b"MODEL")
    assert refusal(path).startswith("model.keras was changed: File name in directory")


def test_a_changed_checksum_of_the_zip_is_named(forge):
    path = forge(FILES.items())
    patch(path, "model.keras", CENTRAL, 16, "<I", 12345)
    assert refusal(path) == "model.keras was changed: its CRC-32 is not the one in the zip"


def test_a_file_shorter_or_longer_than_the_manifest_says_is_refused(forge):
    entries = FILES | {"model.keras": FILES["model.keras"] * 10}
    assert (
        refusal(forge(entries.items())) == "model.keras was changed: it has 2000 bytes, the manifest says 200"
    )


@pytest.mark.parametrize("stated", [200, 20 * MEBIBYTE])
def test_ten_times_the_stated_size_is_refused_without_unpacking_it_all(forge, stated):
    # Directory, header and manifest agree on the lie, and the sums are those of the part that they state.
    content = bytes(10 * stated)
    path = forge([*FILES.items(), ("bomb.bin", content)], FILES | {"bomb.bin": content[:stated]})
    for signature, offset in ((CENTRAL, 16), (LOCAL, 14)):
        patch(path, "bomb.bin", signature, offset, "<I", zlib.crc32(content[:stated]))
        patch(path, "bomb.bin", signature, offset + 8, "<I", stated)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("bomb.bin") == content[:stated]  # zipfile itself does not notice
    tracemalloc.start()
    problems = verify(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problems == [f"bomb.bin was changed: it unpacks to more than the {stated} bytes it states"]
    assert peak < 5 * MEBIBYTE


def test_a_file_that_ends_before_its_stated_size_is_refused(forge):
    path = forge(FILES.items(), FILES | {"model.keras": FILES["model.keras"] * 2})
    patch(path, "model.keras", CENTRAL, 24, "<I", 400)
    assert refusal(path).startswith("model.keras was changed: its SHA-256 is")


def test_a_manifest_that_hides_its_size_is_not_unpacked_whole(forge):
    path = forge(FILES.items(), manifest=b" " * 300 * MEBIBYTE)
    patch(path, "manifest.json", CENTRAL, 24, "<I", 100)
    tracemalloc.start()
    line = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line.startswith("manifest.json must have at most")
    assert peak < 50 * MEBIBYTE


def test_a_total_size_above_the_limit_is_refused_before_anything_is_read(forge):
    huge = {"bytes": 2**33, "sha256": "0" * 64}
    content = {"files": {"model.keras": huge}, "format": "runback-bundle-1", "run": {}}
    path = forge(FILES.items(), manifest=json.dumps(content, indent=1).encode() + b"\n")
    assert refusal(path) == "manifest.json: a bundle holds at most 4294967296 bytes; got 8589934592"


def test_a_zip_above_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "run.zip"
    with path.open("wb") as stream:
        stream.truncate(2**33)
    assert refusal(path).startswith("the file is too large for a bundle")


def test_a_bundle_packed_anew_by_another_program_is_told(bundle, tmp_path):
    anew = tmp_path / "anew.zip"
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(anew, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert "written anew outside its files" in refusal(anew)
    assert inspect_bundle(anew).fingerprint == inspect_bundle(bundle).fingerprint


def sparse(forge, sizes):
    """A bundle of files of zeros, which deflate packs a thousand times smaller."""
    contents = {f"zeros{number}.txt": bytes(size) for number, size in enumerate(sizes)}
    return forge([*FILES.items(), *contents.items()], FILES | contents)


def test_a_bundle_that_unpacks_to_many_times_its_size_is_refused_before_it_is_unpacked(forge):
    path = sparse(forge, [40 * MEBIBYTE] * 4)
    tracemalloc.start()
    began = time.process_time()
    line = refusal(path)
    assert time.process_time() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 5 * MEBIBYTE
    tracemalloc.stop()
    assert line.startswith("the bundle unpacks to 167,772,")
    assert inspect_bundle(path).files == {}


def test_what_is_small_may_be_packed_as_well_as_it_can(forge):
    assert verify(sparse(forge, [10 * MEBIBYTE])) == []


def test_more_files_than_any_bundle_has_are_refused(forge):
    files = [(f"{number}", b"") for number in range(10_000)]
    assert "at most 10,000 files" in refusal(forge([*FILES.items(), *files], FILES))


@pytest.mark.timeout(60)
def test_a_directory_as_large_as_the_file_is_refused_before_it_is_read(bundle):
    # 64 MiB of a directory of which each entry has the shortest name.
    entry = b"PK\1\2" + bytes(42)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 64 * MEBIBYTE, 0, 64)
    bundle.write_bytes(entry * (64 * MEBIBYTE // 46) + b"x" * (64 * MEBIBYTE % 46) + end + b"0" * 64)
    reseal(bundle)
    tracemalloc.start()
    line = refusal(bundle)
    assert tracemalloc.get_traced_memory()[1] < 10 * MEBIBYTE
    tracemalloc.stop()
    assert "its directory has 67,108,864 bytes; expected at most" in line


def test_a_bundle_that_would_be_refused_is_not_written(tmp_path):
    with pytest.raises(InputError, match="the bundle unpacks to"):
        write_bundle(tmp_path / "run.zip", {}, {"zeros.txt": bytes(65 * MEBIBYTE)})
    assert list(tmp_path.iterdir()) == []
