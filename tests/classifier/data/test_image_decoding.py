import io

import numpy as np
import pytest
from PIL import Image

from runback.classifier.data import image_decoding
from runback.classifier.data.image_decoding import decoded
from runback.errors import DataError


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def one(data, channels=3, size=None):
    return next(decoded([[("picture", data)]], channels=channels, size=size))[0]


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)


def test_a_png_decodes_to_its_own_pixels(noise):
    np.testing.assert_array_equal(one(saved(Image.fromarray(noise))), noise)


def test_many_images_keep_their_order():
    greys = [saved(Image.new("L", (3, 2), grey)) for grey in range(200)]
    batches = [[(str(i), greys[i]) for i in range(start, start + 50)] for start in range(0, 200, 50)]
    blocks = list(decoded(batches, channels=1, size=None))
    assert {block.shape[1:] for block in blocks} == {(2, 3, 1)}
    assert np.concatenate(blocks)[:, 0, 0, 0].tolist() == list(range(200))


def test_a_broken_jpeg_2000_file_is_a_broken_image_and_no_error_of_the_system(noise):
    content = saved(Image.fromarray(noise), "JPEG2000")
    broken = content[:12] + b"\0\0\0\1" + content[16:]
    with pytest.raises(DataError, match="picture: cannot be decoded"):
        one(broken)


def test_a_grey_image_becomes_colour_and_colour_becomes_grey(noise):
    assert one(saved(Image.new("L", (4, 4), 77)))[0, 0].tolist() == [77, 77, 77]
    assert one(saved(Image.new("RGB", (4, 4), (77, 77, 77))), channels=1).shape == (4, 4, 1)


def test_sixteen_bits_keep_their_high_byte():
    ramp = (np.arange(16, dtype=np.uint16) * 4096).reshape(4, 4)
    assert one(saved(Image.fromarray(ramp)), channels=1)[..., 0].tolist() == (ramp >> 8).tolist()


def test_a_palette_with_transparency_decodes_without_a_warning():
    picture = Image.new("RGB", (4, 4), (200, 0, 0)).convert("P")
    assert one(saved(picture, transparency=b"\x00\x80")).shape == (4, 4, 3)


def test_resizing_is_height_by_width(noise):
    assert one(saved(Image.fromarray(noise)), size=(20, 30)).shape == (20, 30, 3)


def test_an_image_of_another_size_is_named():
    batch = [("first", saved(Image.new("L", (5, 4)))), ("second", saved(Image.new("L", (9, 4))))]
    with pytest.raises(DataError, match="second: 4 x 9 pixels, but the first image has 4 x 5"):
        list(decoded([batch], channels=1, size=None))


def test_large_images_are_written_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(image_decoding, "BLOCK", 7 * 20 * 30)
    batch = [(str(i), saved(Image.new("L", (30, 20), i))) for i in range(30)]
    blocks = list(decoded([batch], channels=1, size=None))
    assert max(map(len, blocks)) == 7
    assert np.concatenate(blocks)[:, 0, 0, 0].tolist() == list(range(30))


def test_an_image_of_another_size_is_refused_before_its_pixels_are_unpacked():
    cut = saved(Image.new("L", (900, 400)))[:200]
    with pytest.raises(DataError, match="second: 400 x 900 pixels, but the first"):
        list(decoded([[("first", saved(Image.new("L", (5, 4)))), ("second", cut)]], channels=1, size=None))


@pytest.mark.filterwarnings("default")
def test_an_image_too_large_is_refused_before_its_pixels_are_unpacked(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for side in (11, 40):  # Pillow warns of the first and refuses the second
        with pytest.raises(DataError, match="picture: too large an image: expected at most 100 pixels"):
            one(saved(Image.new("L", (side, side))))


@pytest.mark.parametrize("kind", ["EPS", "SPIDER"])
def test_formats_that_are_not_read_are_refused(kind):
    with pytest.raises(DataError, match="picture: expected an image; this is none, or a broken one"):
        one(saved(Image.new("F" if kind == "SPIDER" else "L", (4, 4)), kind))


def test_whatever_is_broken_in_an_image_its_name_is_told(noise):
    """Cut, overwritten or thinned out at random: pixels or a DataError, never another error."""
    whole = [saved(Image.fromarray(noise), kind) for kind in ("PNG", "JPEG")]
    generator = np.random.default_rng(0)
    refused = 0
    for trial in range(600):
        data = bytearray(whole[trial % 2])
        at = int(generator.integers(0, len(data)))
        if trial % 3 == 0:
            del data[at:]
        elif trial % 3 == 1:
            data[at] ^= int(generator.integers(1, 256))
        else:
            del data[at : at + 9]
        try:
            assert one(bytes(data), size=(4, 4)).shape == (4, 4, 3)
        except DataError as error:
            assert str(error).startswith("picture: ")  # noqa: PT017 - most trials raise, some need not
            refused += 1
    assert refused > 300
