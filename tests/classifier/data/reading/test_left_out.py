"""Files and folders as people have them: each that is not used is counted, and none is taken for another."""

import errno
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runback.classifier.data.folder import load
from runback.classifier.data.reading.data_summary import DataSummary
from runback.classifier.data.split import split
from runback.errors import DataError

KNOBS = {"limit": None, "validation_fraction": 0.1, "validation_split": "stratified", "validation_seed": 0}


def summary(path, cache, **knobs):
    return DataSummary.of(*split(load("train", cache=cache, path=path, **knobs), **KNOBS), "folder")


def counts(cases):
    return {kind: case.count for kind, case in cases.items()}


def total(found, name="cat"):
    one = found.classes[name]
    return one.train + one.validation + one.test


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[("a.webp", "WEBP"), ("a.gif", "GIF"), ("a.bmp", "BMP"), ("a.tif", "TIFF"), ("a.jfif", "JPEG")],
        *[("A.PNG", "PNG"), ("A.JPG", "JPEG"), ("A.TIFF", "TIFF"), ("a.jpe", "JPEG"), ("a.ppm", "PPM")],
        *[("a.avif", "AVIF"), ("a.jp2", "JPEG2000"), ("a.tga", "TGA"), ("a.pcx", "PCX"), ("a.ico", "ICO")],
        *[("without", "PNG"), ("a.jpg", "PNG"), ("a.png", "WEBP"), ("a.dat", "JPEG"), ("a.txt", "BMP")],
    ],
)
def test_an_image_is_read_by_its_content_whatever_it_is_called(pets, cache, picture, name, kind):
    (pets / "cat" / name).write_bytes(picture(77, kind, size=(32, 32)))
    found = summary(pets, cache)
    assert total(found) == 11
    assert counts(found.left_out) == {}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("Thumbs.db", b"\xd0\xcf\x11\xe0" * 9, "files that are no image"),
        ("labels.csv", b"a,b\n1,2\n", "files that are no image"),
        ("notes.txt", b"BMW and others", "files that are no image"),
        ("P1.md", b"P1 is a name", "files that are no image"),
        ("movie.mp4", b"\0\0\0\x18ftypisom" + bytes(40), "files that are no image"),
        ("empty", b"", "files that are no image"),
        ("photo.HEIC", b"\0\0\0\x18ftypheic" + bytes(40), "images of a format that is not read"),
        ("photo", b"\0\0\0\x18ftypmif1" + bytes(40), "images of a format that is not read"),
        ("raw.NEF", b"II*\0" + bytes(40), "images of a format that is not read"),
        ("drawing.svg", b"<?xml version='1.0'?><svg/>", "images of a format that is not read"),
        ("drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "images of a format that is not read"),
        (".DS_Store", b"Bud1", "hidden files and folders"),
        ("._1.png", b"AppleDouble", "hidden files and folders"),
    ],
)
def test_what_is_no_image_is_counted_with_an_example(pets, cache, name, content, kind):
    (pets / "dog" / name).write_bytes(content)
    found = summary(pets, cache)
    assert total(found, "dog") == 10
    assert {k: (case.count, case.example) for k, case in found.left_out.items()} == {kind: (1, f"dog/{name}")}
    with pytest.raises(DataError, match=f"data.strict: expected .* left out: {kind}: 1, such as dog/"):
        found.refuse()


def test_what_lies_beside_the_classes_is_counted(pets, cache, picture):
    (pets / "README.md").write_text("about pets")
    (pets / "cover.png").write_bytes(picture(5))
    for folder in ("__MACOSX", ".git", "@eaDir"):
        (pets / folder).mkdir()
        (pets / folder / "1.png").write_bytes(picture(6))
    (pets / "cat" / "__MACOSX").mkdir()
    assert counts(summary(pets, cache).left_out) == {
        "files that are no image": 1,
        "images beside the folders of the classes": 1,
        "folders of an operating system": 3,
        "hidden files and folders": 1,
    }


def test_a_link_to_a_folder_is_followed_once(pets, cache, tmp_path, fill):
    fill(tmp_path / "elsewhere", 7, first=300)
    (pets / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (pets / "cat" / "again").symlink_to(tmp_path / "elsewhere")
    found = summary(pets, cache)
    assert total(found) == 17
    assert counts(found.left_out) == {"further links to the same folder": 1}


def test_a_link_to_a_folder_beside_it_is_the_second_way_there(pets, cache, fill):
    fill(pets / "cat" / "z", 4, first=300)
    (pets / "cat" / "a").symlink_to("z")
    found = summary(pets, cache)
    assert total(found) == 14
    assert found.left_out["further links to the same folder"].example == "cat/a"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("target", [".", "..", "../..", "loop", "deep/loop"])
def test_circles_are_named_and_end(pets, cache, target):
    (pets / "cat" / "deep").mkdir()
    (pets / "cat" / "loop").symlink_to(target)
    (pets / "cat" / "deep" / "loop").symlink_to("../loop")
    found = summary(pets, cache)
    assert (total(found), total(found, "dog")) == (10, 10)
    assert sum(counts(found.left_out).values()) == 2


def test_a_class_that_is_a_link_back_is_a_circle_and_no_class(pets, cache):
    (pets / "loop").symlink_to(pets)
    found = summary(pets, cache)
    assert list(found.classes) == ["cat", "dog"]
    assert counts(found.left_out) == {"links that lead back to a folder above them": 1}


def test_a_class_that_is_a_link_is_a_class(pets, cache, tmp_path, fill):
    (pets / "emu").symlink_to(fill(tmp_path / "elsewhere", first=300))
    assert total(summary(pets, cache), "emu") == 10


def test_links_and_pipes_that_are_no_images_are_counted(pets, cache):
    (pets / "cat" / "lost").symlink_to("nowhere")
    os.mkfifo(pets / "cat" / "pipe")
    assert counts(summary(pets, cache).left_out) == {
        "links that lead nowhere": 1,
        "pipes, sockets and devices": 1,
    }


def test_all_broken_images_are_named_at_once(pets, cache, fill):
    fill(pets / "cat", 60)
    for number in range(0, 50, 2):
        file = pets / "cat" / f"{number}.png"
        file.write_bytes(file.read_bytes()[: 60 if number % 4 else 0])
    (pets / "dog" / "1.jpg").write_text("<html>404</html>")
    with pytest.raises(DataError) as raised:
        load("train", cache=cache, path=pets)
    told = str(raised.value)
    assert told.count(".png: ") == 20
    assert "and 6 more (26 of 71 images cannot be used" in told
    assert "data.broken=skip" in told
    assert "\n" not in told


def test_broken_images_can_be_skipped_and_are_recorded(pets, cache):
    (pets / "cat" / "3.png").write_bytes(b"")
    (pets / "dog" / "103.png").write_bytes(b"GIF89a, and no more")
    found = summary(pets, cache, broken="skip")
    assert (total(found), total(found, "dog")) == (9, 9)
    assert counts(found.left_out) == {"broken images": 2}
    record = found.as_dict()
    assert sorted(name for name, _ in record["broken"]) == ["cat/3.png", "dog/103.png"]


def test_a_broken_image_that_is_mended_moves_no_other_one(pets, cache):
    before = [load(part, cache=cache, path=pets).images.tobytes() for part in ("train", "test")]
    whole = (pets / "cat" / "3.png").read_bytes()
    (pets / "cat" / "3.png").write_bytes(b"")
    skipped = [
        load(part, cache=cache, path=pets, broken="skip").images.tobytes() for part in ("train", "test")
    ]
    assert sum(map(len, skipped)) == sum(map(len, before)) - 32 * 32 * 3
    assert any(one == other for one, other in zip(before, skipped, strict=True))
    (pets / "cat" / "3.png").write_bytes(whole)
    assert [load(part, cache=cache, path=pets).images.tobytes() for part in ("train", "test")] == before


def test_a_second_start_says_the_same(pets, cache, picture):
    (pets / "cat" / "a.gif").write_bytes(picture(7, "GIF"))
    (pets / "cat" / "a.txt").write_text("text")
    first, second = (summary(pets, cache).lines() for _ in range(2))
    assert first == second
    assert any("palettes" in line for line in first)


def test_a_picture_in_several_splits_or_classes_is_counted(pets, cache, tmp_path):
    for part in ("train", "val", "test"):
        shutil.copytree(pets, tmp_path / "divided" / part)
    for name in ("cat", "dog"):
        for number in (0, 1, 2, 3, 4):
            (tmp_path / "divided" / "val" / name / f"{number + 100 * (name == 'dog')}.png").unlink()
            (tmp_path / "divided" / "test" / name / f"{number + 3 + 100 * (name == 'dog')}.png").unlink()
    (tmp_path / "divided" / "train" / "dog" / "copy.png").write_bytes((pets / "cat" / "0.png").read_bytes())
    path = tmp_path / "divided"
    found = summary(path, cache)
    assert counts(found.duplicates) == {
        "training images that are in validation, too": 10,
        "training images that are in test, too": 11,
        "validation images that are in test, too": 4,
        "images that are in several classes": 3,
    }


def test_training_images_that_are_held_out_can_be_dropped(pets, cache, tmp_path, picture):
    path = tmp_path / "divided"
    shutil.copytree(pets, path / "train")
    for place, part in enumerate(("val", "test")):
        for name in ("cat", "dog"):
            shutil.copytree(pets / name, path / part / name)
            for file in sorted((path / part / name).iterdir())[2:]:
                file.unlink()
            (path / part / name / "own.png").write_bytes(picture(5000 + 10 * place + (name == "dog")))
    whole = summary(path, cache)
    assert counts(whole.duplicates)["training images that are in test, too"] == 4
    train, validation = split(load("train", cache=cache, path=path, duplicates="drop"), **KNOBS)
    assert (len(train), len(validation)) == (16, 6)
    found = DataSummary.of(train, validation, "folder")
    assert counts(found.left_out) == {"training images that are in validation or test, too": 4}
    assert list(counts(found.duplicates)) == ["validation images that are in test, too"]


def test_the_same_pixels_in_another_format_are_the_same_picture(pets, cache, picture):
    (pets / "cat" / "copy.bmp").write_bytes(picture(100, "BMP"))
    assert counts(summary(pets, cache).duplicates)["images that are in several classes"] == 2


def test_a_drawn_validation_split_loses_its_copies_in_training(pets, cache):
    for file in list((pets / "cat").iterdir()):
        shutil.copy(file, file.with_name(f"copy {file.name}"))
    train, validation = split(load("train", cache=cache, path=pets, duplicates="drop"), **KNOBS)
    assert not set(train.origin.digests) & {*validation.origin.digests, *train.origin.report.test_digests}


def test_12_bits_of_a_whole_set_are_scaled_by_what_the_brightest_needs(pets, cache):
    from PIL import Image

    for number in range(4):
        deep = np.full((8, 8), 1000 * number + 900, np.uint16)
        Image.fromarray(deep).save(pets / "cat" / f"deep{number}.tif")
    images = load("train", cache=cache, path=pets)
    bright = [images.images[row, 0, 0, 0] for row, name in enumerate(images.origin.names) if "deep" in name]
    assert set(bright) <= {(1000 * number + 900) >> 4 for number in range(4)}
    whole = load("train", cache=cache, path=pets, depth=16)
    dark = [whole.images[row, 0, 0, 0] for row, name in enumerate(whole.origin.names) if "deep" in name]
    assert max(dark) <= 15


def test_names_that_would_do_something_to_a_terminal_are_spelled_out(pets, cache, capsys):
    from runback.system.text.terminal import say

    (pets / "cat" / "\x1b[2Jx.txt").write_text("text")
    say(*summary(pets, cache).lines())
    assert "\x1b" not in capsys.readouterr().out


def test_an_unreadable_background_is_refused(pets, cache):
    with pytest.raises(ValueError, match="expected an opaque colour such as white"):
        load("train", cache=cache, path=pets, background="no colour")
    with pytest.raises(ValueError, match="expected an opaque colour such as white"):
        load("train", cache=cache, path=pets, background="#ff000080")


def test_sizes_before_and_after_are_said(pets, cache, picture):
    (pets / "cat" / "large.png").write_bytes(picture(7, size=(40, 90)))
    lines = summary(pets, cache).lines()
    assert lines[0] == f"data: folder {Path(pets)}, 2 classes, 14 train, 2 validation, 5 test"
    assert lines[1] == "  images: 8 to 40 x 8 to 90 pixels (height x width), resized to 32 x 32, colour"


def test_pictures_on_their_side_are_of_another_size(tmp_path, cache, picture):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            size = (30, 40) if number % 2 else (40, 30)
            (tmp_path / "pets" / name / f"{number}.png").write_bytes(picture(number, size=size))
    dataset = load("train", cache=cache, path=tmp_path / "pets", height=30, width=40)
    lines = DataSummary.of(*split(dataset, **KNOBS), "folder").lines()
    assert lines[1] == "  images: 30 to 40 x 30 to 40 pixels (height x width), resized to 30 x 40, colour"


def test_what_the_readme_shows_is_said(pets, cache, picture):
    """The kinds in its example, each made here."""
    from PIL import ExifTags

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    (pets / "cat" / "turned.jpg").write_bytes(picture(1000, "JPEG", exif=exif))
    (pets / "cat" / "Thumbs.db").write_bytes(b"thumbs")
    (pets / "cat" / "IMG.HEIC").write_bytes(bytes(4) + b"ftypheic" + bytes(20))
    for number in range(10):
        (pets / "cat" / f"copy of {number}.png").write_bytes((pets / "cat" / f"{number}.png").read_bytes())
    said = [line.rpartition(": ")[0] for line in summary(pets, cache).lines()]
    readme = (Path(__file__).parents[4] / "README.md").read_text("utf-8")
    example = re.findall(r"^    (  (?:left out|converted|duplicate): .*): \d+, such as", readme, re.MULTILINE)
    assert len(example) == 4
    assert set(example) <= set(said)


def test_secrets_in_paths_and_names_are_taken_out(pets, cache, picture):
    token = f"ghp_{'q7Xw2Lm9Zt4Rb8Vn3Kc6' * 2}"
    moved = pets.rename(pets.with_name(token))
    (moved / "cat" / f"{token}.txt").write_text("text")
    (moved / "cat" / f"{token}.png").write_bytes(b"")
    (moved / "cat" / f"{token}.gif").write_bytes(picture(1000, "GIF"))
    found = summary(moved, cache, broken="skip")
    assert token not in "\n".join([*found.lines(), found.markdown(), str(found.as_dict())])


def test_a_class_of_a_format_that_is_not_read_says_so(pets, cache):
    for number in range(2):
        (pets / "cat" / "phone").mkdir(exist_ok=True)
        (pets / "phone").mkdir(exist_ok=True)
        (pets / "phone" / f"{number}.HEIC").write_bytes(bytes(4) + b"ftypheic" + bytes(20))
    told = (
        r"phone: expected images; got none, but 2 of a format that is not read, such as phone/0.HEIC; convert"
    )
    with pytest.raises(DataError, match=told):
        load("train", cache=cache, path=pets)


def test_a_class_whose_images_are_all_broken_says_so(pets, cache):
    for file in (pets / "dog").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match=r"dog: 0 train, .*; 10 broken images are left out: "):
        summary(pets, cache, broken="skip")


def test_a_way_out_that_leads_nowhere_is_not_said(pets, cache):
    for file in [*(pets / "cat").iterdir(), *(pets / "dog").iterdir()]:
        file.write_bytes(b"")
    for knob in ("refuse", "skip"):
        with pytest.raises(DataError, match=r"16 of 16 images cannot be used: mend or replace them\)"):
            load("train", cache=cache, path=pets, broken=knob)


def test_a_copy_of_the_training_split_leaves_nothing_to_train_on(tmp_path, cache, pets):
    shutil.copytree(pets, tmp_path / "copied" / "train")
    shutil.copytree(pets, tmp_path / "copied" / "test")
    told = (
        "data.duplicates=drop: each of the 20 training images is in validation or test, too, such as train/"
    )
    with pytest.raises(DataError, match=told):
        summary(tmp_path / "copied", cache, duplicates="drop")


@pytest.mark.parametrize("n", [1, 2])
def test_a_class_of_too_few_images_is_told_how_many_it_takes(pets, fill, cache, n):
    fill(pets / "emu", n, first=900)
    with pytest.raises(DataError, match=r"emu: .*: it takes 3 images of a class, one for each split"):
        summary(pets, cache)


def test_three_images_of_a_class_are_enough(pets, fill, cache):
    fill(pets / "emu", 3, first=900)
    dataset = load("train", cache=cache, path=pets)
    found = DataSummary.of(*split(dataset, **{**KNOBS, "validation_fraction": 0.2}), "folder")
    assert total(found, "emu") == 3


def test_shades_of_more_bits_in_another_split_are_said(tmp_path, cache):
    for part, white, n in (("train", 4095, 10), ("test", 60000, 3)):
        for name in ("cat", "dog"):
            (tmp_path / "rays" / part / name).mkdir(parents=True)
            for number in range(n):
                shades = np.random.default_rng(number).integers(0, white, (8, 8)).astype(np.uint16)
                Image.fromarray(shades).save(tmp_path / "rays" / part / name / f"{number}.png")
    found = summary(tmp_path / "rays", cache, channels=1)
    assert counts(found.converted)["16 bits of grey brighter than that white, cut"] == 6


def test_shades_of_few_bits_outside_training_are_scaled_as_well(tmp_path, cache, pets):
    divided = tmp_path / "divided"
    divided.mkdir()
    pets.rename(divided / "train")
    for name in ("cat", "dog"):
        (divided / "test" / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 4095, np.uint16)).save(divided / "test" / name / "white.png")
    assert load("test", cache=cache, path=divided).images.min() == 255


def test_an_error_that_passes_is_not_kept(pets, cache, monkeypatch):
    opened = Path.open

    def no_more_files(path, *arguments, **more):
        if path.name == "3.png" and more.get("buffering") is None:  # not at the look at its first bytes
            raise OSError(errno.EMFILE, "Too many open files", str(path))
        return opened(path, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", no_more_files)
        for knob in ("refuse", "skip"):
            with pytest.raises(DataError, match=r"cat/3.png: cannot be read: Too many open files"):
                load("train", cache=cache, path=pets, broken=knob)
    found = summary(pets, cache, broken="skip")
    assert (found.left_out, total(found)) == ({}, 10)


def test_a_depth_that_nobody_has_set_is_for_grey_alone(pets, cache):
    for number in range(3):
        shades = np.random.default_rng(number).integers(0, 4096, (8, 8)).astype(np.uint16)
        Image.fromarray(shades).save(pets / "cat" / f"deep{number}.png")
    values = np.random.default_rng(9).integers(0, 65536, (8, 8, 3)).astype(">u2")
    for name in ("cat", "dog"):
        (pets / name / "colour.ppm").write_bytes(b"P6 8 8 65535\n" + values.tobytes())
    assert counts(summary(pets, cache).converted)["16 bits of each colour cut to the high 8"] == 2
    with pytest.raises(
        DataError, match=r"colour.ppm: cannot be decoded: expected grey alone for data.depth=12"
    ):
        load("train", cache=cache, path=pets, depth=12)
