"""What a body may hold, and what a body that holds anything else is told."""

import contextlib
import io
import json
import os
import pickle
import time

import numpy as np
import pytest

from runback.classifier.serving.images import MAX_IMAGES, TooMany, read_images
from runback.classifier.serving.nested_lists import SMALL
from runback.errors import DataError

SHAPE = (4, 5, 3)
JSON, NPY = "application/json", "application/x-npy"


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)


def npy(array, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def as_json(images, key="inputs") -> bytes:
    return json.dumps({key: images if isinstance(images, list) else images.tolist()}).encode()


def with_pixel(value) -> bytes:
    """A body whose first pixel is something else."""
    images = np.zeros((2, *SHAPE), int).tolist()
    images[0][0][0][0] = value
    return as_json(images)


def npy_with_header(header: str, content: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


@pytest.mark.parametrize("key", ["inputs", "instances"])
@pytest.mark.parametrize("media_type", [JSON, "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read(images, key, media_type):
    read = read_images(as_json(images, key), media_type, SHAPE)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, images)


@pytest.mark.parametrize("media_type", [NPY, "application/octet-stream"])
def test_the_bytes_of_a_npy_file_are_read(images, media_type):
    np.testing.assert_array_equal(read_images(npy(images), media_type, SHAPE), images)
    columns = np.asfortranarray(images)
    np.testing.assert_array_equal(read_images(npy(columns), media_type, SHAPE), images)


@pytest.mark.parametrize("media_type", ["", "text/csv", "application/x-www-form-urlencoded", "\x00" * 500])
def test_another_content_type_is_told_which_ones_there_are(images, media_type):
    with pytest.raises(DataError, match=r"^expected Content-Type application/json, or application/x-npy or"):
        read_images(as_json(images), media_type, SHAPE)


SHAPES = r"expected images of shape \(n, 4, 5, 3\); got "
PIXELS = "expected raw pixels, "


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is no JSON: Expecting value"),
        (b"\xff\xfe\x00", "the body is no JSON: "),
        (b'{"inputs": [[[[1, 2', "the body is no JSON: "),
        (b"[" * 100_000, "the body is no JSON: "),
        (b'{"inputs": ' + b"1" * 5000 + b"}", "the body is no JSON: "),
        (b"[1, 2]", 'expected {"inputs": IMAGES} or {"instances": IMAGES}; got list'),
        (b"null", "got NoneType"),
        (b"{}", r"got \[\]"),
        (b'{"inputs": [], "params": {}}', "got .'inputs', 'params'"),
        (b'{"' + b"x" * 5000 + b'": 1}', "IMAGES}; got .'xxx"),
        (b'{"inputs": []}', SHAPES + r"\(0,\)"),
        (b'{"inputs": 7}', SHAPES + r"\(\)"),
        (b'{"inputs": {"a": [1]}}', SHAPES + r"\(\)"),
        (b'{"inputs": [[1], [2, 3]]}', "expected lists of lists of one length each"),
        (b'{"inputs": ' + b"[" * 200 + b"]" * 200 + b"}", "expected lists of lists of one length each"),
        (as_json(np.zeros(SHAPE, int)), SHAPES + r"\(4, 5, 3\)"),
        (as_json(np.zeros((2, 5, 4, 3), int)), SHAPES + r"\(2, 5, 4, 3\)"),
        (with_pixel(256), "expected raw pixels, from 0 to 255; got 256"),
        (with_pixel(-1), "got -1"),
        (with_pixel(10**15), "got 1000000000000000"),
        (with_pixel(10**30), PIXELS),
        (with_pixel(0.5), PIXELS),
        (with_pixel(float("nan")), PIXELS),
        (with_pixel("1"), PIXELS),
        (with_pixel(None), PIXELS),
        (with_pixel({}), PIXELS),
        (with_pixel(True), PIXELS),
        (with_pixel("x" * 100_000), PIXELS),
        (with_pixel(0).replace(b"[0", b"[true", 1).decode().encode("utf-16"), "the body is no JSON"),
        (as_json(np.zeros((2, *SHAPE), bool)), PIXELS),
        (b'{"inputs": [], "inputs": []}', "the body is no JSON: a key occurs twice"),
        (b'{"inputs": [Infinity]}', SHAPES),
    ],
)  # fmt: skip
def test_json_that_holds_no_images_is_told_so(body, told):
    refused(body, JSON, told)


PIXEL_HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }"


class _Runs:
    def __reduce__(self):
        return os.abort, ()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is no .npy file"),
        (b"\x93NUMPY", "the body is no .npy file"),
        (npy(np.zeros((2, *SHAPE), np.uint8))[:60], "the body is no .npy file"),
        (b"\x93NUMPY\x03\x00" + npy(np.zeros((2, *SHAPE), np.uint8))[8:], "the body is no .npy file"),
        (pickle.dumps(_Runs()), "the body is no .npy file"),
        (npy_with_header("{'descr': (), 'fortran_order': False, 'shape': (2, 4, 5, 3), }"), "no .npy file"),
        (npy_with_header("(" * 110), "the body is no .npy file"),
        (npy_with_header(PIXEL_HEADER % "(10000000000000, 4, 5, 3)"), "at most 1024 images"),
        (npy_with_header(PIXEL_HEADER % "(-1, 4, 5, 3)"), SHAPES),
        (npy_with_header(PIXEL_HEADER % "(True, 4, 5, 3)", bytes(60)), SHAPES + r"\(True, 4, 5, 3\)"),
        (npy_with_header(PIXEL_HEADER % "(1.0, 4, 5, 3)", bytes(60)), "the body is no .npy file"),
        (npy_with_header(PIXEL_HEADER.replace("False", "0") % "(1, 4, 5, 3)", bytes(60)), "no .npy file"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100), "the body is no .npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b" " * 70_000, "the body is no .npy file"),
        (npy_with_header(PIXEL_HEADER % "(2, 4, 5, 3)", b"short"), "holds 5 pixels, its header says 120"),
        (npy_with_header(PIXEL_HEADER % "()"), SHAPES + r"\(\)"),
        (npy(np.zeros((2, *SHAPE), np.uint8)) + b"more", "holds 124 pixels, its header says 120"),
        (npy(np.zeros((0, *SHAPE), np.uint8)), SHAPES + r"\(0, 4, 5, 3\)"),
        (npy(np.zeros((2, 4, 5), np.uint8)), SHAPES + r"\(2, 4, 5\)"),
        (npy(np.zeros((2, *SHAPE))), "expected raw pixels of dtype uint8; got float64"),
        (npy(np.zeros((2, *SHAPE), np.int8)), "got int8"),
        (npy(np.full((1, *SHAPE), _Runs()), allow_pickle=True), "got object"),
        (npy(np.zeros((1, *SHAPE), [("a", "u1")])), "got "),
    ],
)  # fmt: skip
def test_bytes_that_hold_no_images_are_told_so(body, told):
    refused(body, NPY, told)


def test_a_shape_with_true_in_it_is_refused_where_a_side_is_1():
    body = npy_with_header(PIXEL_HEADER % "(1, True, 28, 1)", bytes(28))
    with pytest.raises(DataError, match=r"got \(1, True, 28, 1\)"):
        read_images(body, NPY, (1, 28, 1))


LARGE = (64, 64, 3)


def test_large_json_is_read_as_json_reads_it():
    images = np.random.default_rng(0).integers(0, 256, (9, *LARGE), dtype=np.uint8)
    for options in ({}, {"indent": 1}, {"separators": (",", ":")}):
        body = json.dumps({"instances": images.tolist()}, **options).encode()
        assert len(body) > SMALL
        np.testing.assert_array_equal(read_images(bytearray(body), JSON, LARGE), images)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"[7,", b"[256,", "from 0 to 255; got 256"),
        (b"[7,", b"[-1,", "lists of whole numbers"),
        (b"[7,", b"[0.5,", "lists of whole numbers"),
        (b"[7,", b"[true,", "lists of whole numbers"),
        (b"[7,", b"[1_0,", "lists of whole numbers"),
        (b"[7,", b'["7",', "lists of whole numbers"),
        (b"[7,", b"[,", "the body is no JSON"),
        (b"[7,", b"[1 2,", "the body is no JSON"),
        (b"[7,", b"[07,", "the body is no JSON"),
        (b"[7,", b"[" + b"9" * 30 + b",", "the body is no JSON"),
        (b"[7,", b"[" + b"9" * 5000 + b",", "the body is no JSON"),
        (b"[7, 7, 7]", b"[7, 7]", "of one length each"),
        (b"[7, 7, 7]", b"[7, 7], [7]", "of one length each"),
        (b"[7, 7, 7]", b"7, 7, 7", "of one length each"),
        (b"[7, 7, 7]", b"[[7], 7, 7]", "of one length each"),
        (b"]}", b"]", "lists of whole numbers"),
        (b"]}", b'], "a": 1}', "lists of whole numbers"),
        (b"inputs", b"input", "lists of whole numbers"),
    ],
)
def test_large_json_that_holds_no_images_is_told_so(old, new, told):
    body = json.dumps({"inputs": np.full((9, *LARGE), 7).tolist()}).encode()
    body = new.join(body.rsplit(old, 1))
    assert len(body) > SMALL
    with pytest.raises(DataError, match=told) as error:
        read_images(body, JSON, LARGE)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "body", [b"[" * 2**24, b" " * 2**24, b'{"inputs":' + b" " * 2**24, b'{"inputs":[' + b"9" * 2**24]
)
def test_no_large_body_takes_long_to_refuse(body):
    begin = time.monotonic()
    refused(body, JSON, "expected")
    assert time.monotonic() - begin < 5


def test_an_archive_of_arrays_is_not_opened():
    stream = io.BytesIO()
    np.savez_compressed(stream, np.zeros((2, *SHAPE), np.uint8))
    refused(stream.getvalue(), NPY, "the body is no .npy file")


def test_too_many_images_are_refused():
    many = np.zeros((MAX_IMAGES + 1, *SHAPE), np.uint8)
    for body, media_type in ((npy(many), NPY), (as_json(many), JSON)):
        with pytest.raises(TooMany, match="expected at most 1024 images in a request; got 1025"):
            read_images(body, media_type, SHAPE)
    assert len(read_images(npy(many[1:]), NPY, SHAPE)) == MAX_IMAGES


def test_damaged_headers_are_refused_whatever_numpy_makes_of_them(images):
    """Bits of NumPy's header, exchanged at random: it raises half a dozen kinds of exceptions itself."""
    whole, generator = npy(images), np.random.default_rng(0)
    outcomes = set()
    for _ in range(2000):
        body = bytearray(whole)
        for place in generator.integers(0, 128, generator.integers(1, 5)):
            body[place] = generator.choice(list(b"()[]{}',:0129uf\x00\xff"))
        with contextlib.suppress(DataError):
            outcomes.add(read_images(bytes(body), NPY, SHAPE).shape)
    assert outcomes <= {images.shape}


def refused(body: bytes, media_type: str, told: str) -> None:
    with pytest.raises(DataError, match=told) as error:
        read_images(body, media_type, SHAPE)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 300
