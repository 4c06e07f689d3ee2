"""Pictures of any shape in one size: cropped, padded or stretched, and what is said of it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.folder import load
from runback.classifier.data.parquet import load as load_parquet
from runback.classifier.data.reading.data_summary import DataSummary
from runback.classifier.data.reading.image_resizing import Resize, inner_size, resized
from runback.errors import DataError, InputError

WHITE, RED = (255, 255, 255), (255, 0, 0)
BILINEAR = Image.Resampling.BILINEAR


def photograph(width: int, height: int) -> Image.Image:
    """Return a smooth picture that differs from left to right and from top to bottom."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.int64)


@pytest.mark.parametrize(("width", "height"), [(64, 32), (32, 64), (48, 36), (30, 90)])
def test_crop_scales_the_short_side_and_cuts_the_middle_out(width: int, height: int) -> None:
    image = photograph(width, height)
    scale = 16 / min(width, height)
    whole = image.resize((round(width * scale), round(height * scale)), BILINEAR)
    left, top = (whole.width - 16) / 2, (whole.height - 16) / 2
    expected = whole.transform((16, 16), Image.Transform.EXTENT, (left, top, left + 16, top + 16), 2)
    cropped = resized(image, (16, 16), "crop", WHITE)
    assert cropped.size == (16, 16)
    np.testing.assert_allclose(pixels(cropped)[1:-1, 1:-1], pixels(expected)[1:-1, 1:-1], atol=3)


@pytest.mark.parametrize(("width", "height"), [(64, 32), (32, 64)])
def test_pad_keeps_the_whole_picture_and_fills_up_with_the_background(width: int, height: int) -> None:
    image = photograph(width, height)
    padded = pixels(resized(image, (16, 16), "pad", RED))
    inner = pixels(image.resize((16, 8) if width > height else (8, 16), BILINEAR))
    if width < height:
        padded, inner = padded.transpose(1, 0, 2), inner.transpose(1, 0, 2)
    np.testing.assert_array_equal(padded[4:12], inner)
    assert (np.concatenate([padded[:4], padded[12:]]) == RED).all()


def test_stretch_takes_each_side_by_itself() -> None:
    image = photograph(64, 32)
    expected = pixels(image.resize((16, 24), BILINEAR))
    np.testing.assert_array_equal(pixels(resized(image, (24, 16), "stretch", RED)), expected)


def test_a_grey_picture_is_padded_with_the_backgrounds_grey() -> None:
    grey = resized(Image.new("L", (8, 4), 9), (8, 8), "pad", (255, 0, 0))
    assert grey.mode == "L"
    assert pixels(grey)[:, 0].tolist() == [76, 76, 9, 9, 9, 9, 76, 76]


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (1, 1), (3, 2)])
def test_every_shape_comes_to_the_size(size: tuple[int, int], how: Resize) -> None:
    assert resized(Image.new("RGB", size), (7, 5), how, WHITE).size == (5, 7)


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
def test_a_picture_of_the_right_shape_is_the_same_in_every_way(how: Resize) -> None:
    image = photograph(64, 32)
    expected = pixels(image.resize((32, 16), BILINEAR))
    np.testing.assert_array_equal(pixels(resized(image, (16, 32), how, RED)), expected)


@pytest.mark.parametrize(
    ("size", "target", "inner"),
    [
        ((32, 64), (16, 16), (8, 16)),
        ((100, 101), (16, 16), (16, 16)),  # less than half a pixel off
        ((1000, 1), (16, 16), (16, 1)),
        ((3024, 4032), (48, 64), (48, 64)),
    ],
)
def test_the_inner_size_keeps_the_shape(
    size: tuple[int, int], target: tuple[int, int], inner: tuple[int, int]
) -> None:
    assert inner_size(size, target) == inner


def write_folder(root: Path) -> Path:
    for number, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for image in range(10):
            wide = image < 4
            photograph(40 if wide else 20, 20).point(lambda v, n=number, i=image: v // 2 + 60 * n + i).save(
                root / name / f"{image}.png"
            )
    return root


def folder(root: Path, cache: Path, resize: Resize, **options: object) -> Dataset:
    return load("train", cache=cache, path=root, height=10, width=10, resize=resize, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("resize", "said"),
    [
        ("stretch", "stretched to another shape (data.resize=crop or pad keeps theirs)"),
        ("crop", "of another shape, cut off at two sides"),
        ("pad", "of another shape, filled up with data.background at two sides"),
    ],
)
def test_the_block_counts_the_images_of_another_shape(tmp_path: Path, resize: Resize, said: str) -> None:
    root = write_folder(tmp_path / "pets")
    for _ in range(2):  # decoded, then from the cache
        train = folder(root, tmp_path / "cache", resize)
        summary = DataSummary.of(train, train, "folder")
        assert f"  resized: {said}: 8, such as cat/0.png" in summary.lines()
        assert summary.as_dict()["resized"] == {said: [8, "cat/0.png"]}
        assert f"- resized: {said.replace('(', '').split(' ')[0]}" in summary.markdown().replace("\\", "")


def test_each_way_has_images_of_its_own_and_strict_refuses_none_of_them(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    ways: tuple[Resize, ...] = ("stretch", "crop", "pad", "stretch")
    every = [folder(root, tmp_path / "cache", way, strict=True).images for way in ways]
    np.testing.assert_array_equal(every[0], every[3])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(every[one], every[other])
    train = folder(root, tmp_path / "cache", "pad", strict=True)
    DataSummary.of(train.take(np.arange(8)), train.take(np.arange(8, len(train))), "folder").refuse()


def test_the_test_split_is_resized_in_the_same_way(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    options = {"cache": tmp_path / "cache", "path": root, "height": 10, "width": 10, "background": "#ff0000"}
    test = load("test", resize="pad", **options)  # type: ignore[arg-type]
    stretched = load("test", resize="stretch", **options)  # type: ignore[arg-type]
    assert not np.array_equal(test.images, stretched.images)
    red = (test.images[:, 0] == RED).all(axis=(1, 2))
    kept = (test.images == stretched.images).all(axis=(1, 2, 3))
    assert (red | kept).all()


def test_a_way_that_is_unknown_is_refused(tmp_path: Path) -> None:
    from runback.system.config import targets

    spec = {"_target_": "runback.classifier.data.folder.load", "path": str(tmp_path), "resize": "squash"}
    with pytest.raises(
        InputError, match=r"data.resize: input should be 'stretch', 'crop' or 'pad'; got 'squash'"
    ):
        targets.build(spec, where="data", blamed=DataError, split="train", cache=tmp_path)


def test_a_parquet_file_without_a_size_has_nothing_to_crop(tmp_path: Path) -> None:
    (tmp_path / "birds.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"data.resize=crop needs a size to resize to: set data.height"):
        load_parquet("train", cache=tmp_path, path=tmp_path / "birds.parquet", resize="crop")
