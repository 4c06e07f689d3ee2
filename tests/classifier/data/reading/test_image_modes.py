"""Files of each mode, depth, orientation and format that Pillow writes, against what a viewer shows."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from runback.classifier.data import folder
from runback.classifier.data.image_decoding import ImageForm, decoded
from runback.classifier.data.reading import image_modes
from runback.classifier.data.reading.image_modes import displayed
from runback.classifier.data.reading.reading_report import SplitReading
from runback.errors import DataError

RANDOM = np.random.default_rng(0)
RGB = Image.fromarray(RANDOM.integers(0, 256, (12, 9, 3), dtype=np.uint8))
ALPHA = Image.fromarray(RANDOM.integers(0, 256, (12, 9), dtype=np.uint8))
SMOOTH = RGB.resize((40, 30), Image.Resampling.BICUBIC)
DEEP = RANDOM.integers(0, 65536, (12, 9)).astype(np.uint16)


def with_alpha(image):
    result = image.convert("LA" if image.mode == "L" else "RGBA")
    result.putalpha(ALPHA.resize(image.size))
    return result


def oriented(number):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = number
    return {"exif": exif}


TRANSPARENT_PALETTE = {"transparency": bytes(range(0, 256, 8))}


def palette(image):
    return image.quantize(32)


def frames():
    return {"save_all": True, "append_images": [Image.new("RGB", RGB.size, grey) for grey in ("red", "blue")]}


FILES = {
    "RGB PNG": (RGB, "PNG", {}, []),
    "RGB JPEG": (SMOOTH, "JPEG", {}, []),
    "progressive JPEG": (SMOOTH, "JPEG", {"progressive": True, "subsampling": 0}, []),
    "grey JPEG": (SMOOTH.convert("L"), "JPEG", {}, ["GREY"]),
    "CMYK JPEG": (SMOOTH.convert("CMYK"), "JPEG", {}, ["CMYK"]),
    "CMYK TIFF": (RGB.convert("CMYK"), "TIFF", {}, ["CMYK"]),
    "black and white PNG": (RGB.convert("1"), "PNG", {}, ["GREY"]),
    "black and white TIFF": (RGB.convert("1"), "TIFF", {"compression": "group4"}, ["GREY"]),
    "grey PNG": (RGB.convert("L"), "PNG", {}, ["GREY"]),
    "grey PNG with alpha": (with_alpha(RGB.convert("L")), "PNG", {}, ["GREY", "TRANSPARENT"]),
    "RGBA PNG": (with_alpha(RGB), "PNG", {}, ["TRANSPARENT"]),
    "opaque RGBA PNG": (RGB.convert("RGBA"), "PNG", {}, []),
    "RGBA TIFF": (with_alpha(RGB), "TIFF", {}, ["TRANSPARENT"]),
    "RGBA WebP": (with_alpha(RGB), "WEBP", {"lossless": True, "exact": True}, ["TRANSPARENT"]),
    "RGBA AVIF": (with_alpha(SMOOTH), "AVIF", {}, ["TRANSPARENT"]),
    "RGBA TGA": (with_alpha(RGB), "TGA", {}, ["TRANSPARENT"]),
    "RGBA ICO": (with_alpha(RGB.resize((32, 32))), "ICO", {"sizes": [(32, 32)]}, ["TRANSPARENT"]),
    "RGBA BMP of 32 bits": (with_alpha(RGB), "BMP", {}, []),
    "RGBA JPEG 2000": (with_alpha(SMOOTH), "JPEG2000", {}, ["TRANSPARENT"]),
    "RGBA QOI": (with_alpha(RGB), "QOI", {}, ["TRANSPARENT"]),
    "RGBA DDS": (with_alpha(RGB), "DDS", {}, ["TRANSPARENT"]),
    "palette PNG": (palette(RGB), "PNG", {}, ["PALETTE"]),
    "palette PNG with transparent colour": (
        palette(RGB),
        "PNG",
        {"transparency": 3},
        ["PALETTE", "TRANSPARENT"],
    ),
    "palette PNG with alpha": (
        palette(RGB),
        "PNG",
        TRANSPARENT_PALETTE,
        ["PALETTE", "TRANSPARENT"],
    ),
    "RGB PNG with transparent colour": (
        RGB,
        "PNG",
        {"transparency": tuple(RGB.getpixel((0, 0)))},
        ["TRANSPARENT"],
    ),
    "grey PNG with transparent grey": (
        RGB.convert("L"),
        "PNG",
        {"transparency": RGB.convert("L").getpixel((1, 1))},
        ["GREY", "TRANSPARENT"],
    ),
    "GIF": (palette(RGB), "GIF", {}, ["PALETTE"]),
    "animated GIF": (RGB, "GIF", frames(), ["SEVERAL", "PALETTE"]),
    "animated WebP": (RGB, "WEBP", {**frames(), "lossless": True}, ["SEVERAL"]),
    "animated PNG": (RGB, "PNG", frames(), ["SEVERAL"]),
    "TIFF of three pages": (RGB, "TIFF", frames(), ["SEVERAL"]),
    "MPO": (SMOOTH, "MPO", {"save_all": True, "append_images": [SMOOTH]}, ["SEVERAL"]),
    "BMP": (RGB, "BMP", {}, []),
    "PPM": (RGB, "PPM", {}, []),
    "PCX": (RGB, "PCX", {}, []),
    "SGI": (RGB, "SGI", {}, []),
    "LZW TIFF": (RGB, "TIFF", {"compression": "tiff_lzw"}, []),
    "JPEG TIFF": (SMOOTH, "TIFF", {"compression": "jpeg"}, None),
    "YCbCr TIFF": (SMOOTH.convert("YCbCr"), "TIFF", {}, ["OTHER_COLOURS"]),
    **{f"JPEG of orientation {n}": (SMOOTH, "JPEG", oriented(n), ["TURNED"]) for n in range(2, 9)},
    "JPEG of orientation 9": (SMOOTH, "JPEG", oriented(9), []),
    "PNG of orientation 6": (RGB, "PNG", oriented(6), ["TURNED"]),
    "WebP of orientation 3": (RGB, "WEBP", {**oriented(3), "lossless": True}, ["TURNED"]),
    "TIFF of orientation 6": (RGB, "TIFF", oriented(6), ["TURNED"]),
    "LZW TIFF of orientation 8": (RGB, "TIFF", {**oriented(8), "compression": "tiff_lzw"}, ["TURNED"]),
    "RGBA PNG of orientation 5": (with_alpha(RGB), "PNG", oriented(5), ["TURNED", "TRANSPARENT"]),
    "RGBA TIFF of orientation 7": (with_alpha(RGB), "TIFF", oriented(7), ["TURNED", "TRANSPARENT"]),
}
SUFFIXES = {"TGA": ".tga", "PCX": ".pcx"}


def saved(image, kind, options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def reference(data, background="white"):
    """Return what Pillow's own functions make of a file."""
    with Image.open(io.BytesIO(data)) as file:
        image = ImageOps.exif_transpose(file)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        below = Image.new("RGBA", image.size, background)
        image = Image.alpha_composite(below, image)
    return np.asarray(image.convert("RGB")).astype(int)


def read(data, name="file", **form):
    """Decode one file, and return its pixels and the names of the kinds it was counted as."""
    reading = SplitReading()
    pixels = next(decoded([[(name, data)]], form=ImageForm(**form), reading=reading))[0]
    texts = {text: name for name, text in vars(image_modes).items() if isinstance(text, str)}
    return pixels, sorted(texts.get(kind, kind) for kind in reading.converted)


@pytest.mark.parametrize("case", FILES)
def test_a_file_decodes_to_what_a_viewer_shows_and_is_counted(case):
    image, kind, options, kinds = FILES[case]
    data = saved(image, kind, options)
    pixels, counted = read(data, f"file{SUFFIXES.get(kind, '')}")
    expected = reference(data)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= 1
    if kinds is not None:
        assert counted == sorted(kinds)


def test_a_folder_of_odd_files_is_read_as_a_viewer_shows_each(tmp_path):
    files = {}
    for number, (image, kind, options, _) in enumerate(FILES.values()):
        data = saved(image, kind, options)
        for name in ("cat", "dog"):
            file = tmp_path / "odd" / name / f"{number}{SUFFIXES.get(kind, '')}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            files[f"{name}/{file.name}"] = reference(data).astype(np.uint8)
    train = folder.load("train", cache=tmp_path / "cache", path=tmp_path / "odd")
    test = folder.load("test", cache=tmp_path / "cache", path=tmp_path / "odd")
    names = [*train.origin.names, *train.origin.report.test_names]
    assert sorted(names) == sorted(files)
    for name, pixels in zip(names, np.concatenate([train.images, test.images]), strict=True):
        expected = Image.fromarray(files[name]).resize((32, 32), Image.Resampling.BILINEAR)
        assert np.abs(pixels.astype(int) - np.asarray(expected)).max() <= 1, name
    assert train.origin.report.left_out == {}
    assert len(train.origin.report.converted) == 7


@pytest.mark.parametrize("case", ["RGBA PNG", "palette PNG with alpha", "grey PNG with alpha"])
def test_the_background_is_a_knob(case):
    image, kind, options, _ = FILES[case]
    data = saved(image, kind, options)
    pixels, _ = read(data, background=(10, 200, 30))
    assert np.abs(pixels - reference(data, (10, 200, 30))).max() <= 1


def test_different_transparent_images_stay_different():
    """Drawings whose colour is black everywhere, and whose shape is in their alpha only."""
    drawings = []
    for n in range(96):
        alpha = np.random.default_rng(n).integers(0, 2, (12, 12)) * 255
        image = Image.new("RGBA", (12, 12))
        image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
        drawings.append(saved(image, "PNG", {}))
    blocks = list(decoded([[(str(n), data) for n, data in enumerate(drawings)]], channels=1, size=(12, 12)))
    assert len({image.tobytes() for image in np.concatenate(blocks)}) == 96


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
def test_grey_of_16_bits_is_scaled_by_its_whole_range(kind):
    pixels, kinds = read(saved(Image.fromarray(DEEP), kind, {}))
    assert np.abs(pixels[..., 0] - DEEP / 257).max() <= 1
    assert kinds == ["16 bits of grey scaled to 8, 65,535 being white", "GREY"]


def test_a_pgm_of_16_bits_is_scaled_by_the_maximum_that_it_states():
    data = b"P5 9 12 4095\n" + (DEEP >> 4).astype(">u2").tobytes()
    pixels, _ = read(data)
    assert np.abs(pixels[..., 0] - (DEEP >> 4) / 4095 * 255).max() <= 1


def test_grey_of_12_bits_is_scaled_by_its_own_range():
    view = displayed(Image.fromarray(DEEP >> 4), channels=1, depth=12)
    assert np.abs(np.asarray(view.image) - (DEEP >> 4) / 4095 * 255).max() <= 1
    assert view.brightest == int((DEEP >> 4).max())


def test_a_transparent_value_of_16_bits_shows_the_background():
    values = DEEP.copy()
    values[3, 4] = 777
    pixels, kinds = read(saved(Image.fromarray(values), "PNG", {"transparency": 777}))
    assert pixels[3, 4].tolist() == [255, 255, 255]
    assert "TRANSPARENT" in kinds


def test_colour_of_16_bits_is_cut_and_counted():
    values = RANDOM.integers(0, 65536, (12, 9, 3)).astype(">u2")
    pixels, kinds = read(b"P6 9 12 65535\n" + values.tobytes())
    assert np.abs(pixels - values / 257).max() <= 1
    assert kinds == ["HIGH_BITS"]
    pixels, kinds = read(png_of_16_bits(values))
    assert np.abs(pixels - values / 257).max() <= 1
    assert kinds == ["HIGH_BITS"]


def png_of_16_bits(values, clear=b""):
    """Pillow reads colours of 16 bits, and does not write them."""
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    colours = {2: 4, 3: 2}[values.shape[2]]  # grey with alpha, or colour, as PNG numbers them
    return png(values.shape[1], values.shape[0], 16, colours, rows, clear)


def png(width, height, bits, colours, rows, clear=b""):
    """Return a PNG file of rows that each begin with the byte of their filter, 0."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"tRNS", clear) if clear else b"")
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("bits", [2, 4])
def test_a_transparent_shade_of_few_bits_shows_the_background(bits):
    scale = 255 // (2**bits - 1)
    shades = np.arange(16).reshape(2, 8) % 2**bits
    packed = [
        sum(int(shade) << (8 - bits * (at % (8 // bits) + 1)) for at, shade in part)
        for row in shades
        for part in np.array_split(list(enumerate(row)), 8 * bits // 8)
    ]
    per_row = 8 * bits // 8
    rows = b"".join(b"\0" + bytes(packed[start : start + per_row]) for start in (0, per_row))
    pixels, kinds = read(png(8, 2, bits, 0, rows, clear=struct.pack(">H", 2)))
    np.testing.assert_array_equal(pixels[..., 0], np.where(shades == 2, 255, shades * scale))
    assert kinds == ["GREY", "TRANSPARENT"]
    turned = read(saved_again(png(8, 2, bits, 0, rows, clear=struct.pack(">H", 2)), oriented(6)))
    np.testing.assert_array_equal(turned[0], np.rot90(pixels, -1))


def saved_again(data, options):
    """Return a PNG file with EXIF data before its pixels."""
    exif = options["exif"].tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    place = data.index(b"IDAT") - 4
    return data[:place] + chunk + data[place:]


def test_one_transparent_colour_of_16_bits_is_refused_by_name():
    values = RANDOM.integers(0, 65536, (12, 9, 3)).astype(">u2")
    with pytest.raises(DataError, match="file: cannot be decoded: expected an alpha channel"):
        list(decoded([[("file", png_of_16_bits(values, clear=b"\x12\x34\0\0\0\0"))]]))


def test_grey_with_alpha_of_16_bits_is_grey_and_colours_have_no_depth():
    values = RANDOM.integers(0, 65536, (12, 9, 2)).astype(">u2")
    data = png_of_16_bits(values)
    pixels, kinds = read(data)
    shade, alpha = values[..., 0] / 65535, values[..., 1] / 65535
    assert np.abs(pixels[..., 0] - 255 * (shade * alpha + 1 - alpha)).max() <= 2
    assert kinds == ["GREY", "HIGH_BITS", "TRANSPARENT"]
    assert read(data, channels=1)[1] == ["HIGH_BITS", "TRANSPARENT"]
    with pytest.raises(DataError, match=r"expected grey alone for data.depth=12"):
        list(decoded([[("file", data)]], form=ImageForm(depth=12, is_depth_set=True)))


def tiff(pixels, order="<", **tags):
    """Return an uncompressed TIFF file of one strip; a tag is an underscore and its number."""
    height, width = pixels.shape[:2]
    bits, samples = 8 * pixels.itemsize, 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    entries = {256: [width], 257: [height], 258: [bits] * samples, 259: [1], 262: [1], 273: [8]}
    entries |= {277: [samples], 278: [height], 279: [len(data)], 284: [1]}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    place = 8 + len(data) + len(data) % 2
    body, more = b"", b""
    after = place + 2 + 12 * len(entries) + 4
    for number, values in sorted(entries.items()):
        kind = "I" if number in (273, 279) else "H"
        content = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(content) > 4:
            content, more = struct.pack(f"{order}I", after + len(more)), more + content
        body += struct.pack(f"{order}HHI", number, 4 if kind == "I" else 3, len(values)) + content.ljust(
            4, b"\0"
        )
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, place)
    table = struct.pack(f"{order}H", len(entries)) + body + bytes(4)
    return (header + data).ljust(place, b"\0") + table + more


def test_grey_of_16_bits_that_counts_down_to_white_is_turned_over():
    pixels, kinds = read(tiff(DEEP, _262=[0]))
    assert np.abs(pixels[..., 0] - (65535 - DEEP) / 257).max() <= 1
    assert kinds == ["16 bits of grey scaled to 8, 65,535 being white", "GREY"]
    view = displayed(Image.open(io.BytesIO(tiff(DEEP >> 4, _262=[0]))), channels=1, depth=12)
    assert np.abs(np.asarray(view.image) - (4095 - (DEEP >> 4)) / 4095 * 255).max() <= 1


def in_planes(pixels):
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    height, width = pixels.shape[:2]
    size = height * width * pixels.itemsize
    return tiff(
        planes.reshape(-1, width),
        _257=[height],
        _258=[8 * pixels.itemsize] * 3,
        _262=[2],
        _277=[3],
        _278=[height],
        _284=[2],
        _273=[8, 8 + size, 8 + 2 * size],
        _279=[size] * 3,
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            in_planes(RANDOM.integers(0, 65536, (12, 9, 3)).astype(np.uint16)),
            "in planes that is not compressed",
        ),
        (tiff(DEEP.astype(np.uint8), _262=[0], _284=[2]), "in planes that is not compressed"),
        (tiff((DEEP >> 2).astype(np.int16), _339=[2]), "signed ones have no black and no white"),
        (tiff((DEEP >> 10).astype(np.uint32)), "32-bit integers have no white of their own"),
    ],
    ids=["16 bits in planes", "white is 0 in planes", "signed", "small numbers of 32 bits"],
)
def test_tiff_files_that_would_be_read_wrongly_are_refused_by_name(data, told):
    with pytest.raises(DataError, match=f"file: cannot be decoded: .*{told}"):
        list(decoded([[("file", data)]]))


def test_planes_of_8_bits_are_read_right():
    pixels, kinds = read(in_planes(np.asarray(RGB)))
    np.testing.assert_array_equal(pixels, np.asarray(RGB))
    assert kinds == []


def test_bands_besides_the_colours_are_counted():
    bands = RANDOM.integers(0, 256, (12, 9, 5), dtype=np.uint8)
    pixels, kinds = read(tiff(bands, _262=[2], _338=[0, 0]))
    np.testing.assert_array_equal(pixels, bands[..., :3])
    assert kinds == ["BANDS"]


def test_shades_beyond_the_white_of_the_others_are_counted():
    view = displayed(Image.fromarray(DEEP), channels=1, depth=12)
    assert np.asarray(view.image).max() == 255
    assert image_modes.CUT in view.kinds


ASCII, SHORT, FLOAT = 2, 3, 11


def exif_data(*entries):
    """Return EXIF data of (tag, type, four bytes), which Pillow would not write if these do not fit."""
    body = b"".join(struct.pack("<HHI4s", tag, kind, 1, content) for tag, kind, content in sorted(entries))
    return b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


@pytest.mark.parametrize("entry", [(ASCII, b"6\0\0\0"), (FLOAT, struct.pack("<f", 6.5))])
def test_an_orientation_that_is_no_whole_number_is_ignored(entry):
    pixels, kinds = read(saved(RGB, "PNG", {"exif": exif_data((274, *entry))}))
    np.testing.assert_array_equal(pixels, np.asarray(RGB))
    assert kinds == []


def test_other_exif_data_that_cannot_be_written_again_does_not_matter():
    data = saved(RGB, "PNG", {"exif": exif_data((274, SHORT, b"\6\0\0\0"), (256, ASCII, b"w\0\0\0"))})
    pixels, kinds = read(data)
    np.testing.assert_array_equal(pixels, np.asarray(RGB.transpose(Image.Transpose.ROTATE_270)))
    assert kinds == ["TURNED"]


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(RANDOM.random((4, 4)).astype(np.float32)),
        Image.fromarray(RANDOM.integers(0, 2**31, (4, 4)).astype(np.int32)),
        Image.fromarray(np.full((4, 4), -5, np.int32)),
    ],
)
def test_numbers_without_a_white_of_their_own_are_refused_by_name(image):
    with pytest.raises(DataError, match=r"file: cannot be decoded: expected .* no white of their own"):
        list(decoded([[("file", saved(image, "TIFF", {}))]]))


def wide_profile():
    """Return a profile whose red, green and blue are not sRGB's: Pillow can build one of Lab only."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()


def swapped_profile():
    """Return sRGB's own profile under another name, with red and blue exchanged."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = content.index(b"rXYZ"), content.index(b"bXYZ")
    content[red : red + 4], content[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(content).replace(b"s\0R\0G\0B", b"m\0i\0n\0e").replace(b"sRGB", b"mine")


def test_the_colours_of_a_profile_are_converted_and_counted():
    profile = swapped_profile()
    data = saved(RGB, "PNG", {"icc_profile": profile})
    pixels, kinds = read(data)
    expected = ImageCms.profileToProfile(
        RGB, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert np.abs(pixels - np.asarray(expected).astype(int)).max() <= 1
    assert np.abs(pixels - np.asarray(RGB).astype(int)).max() > 50
    assert kinds == ["PROFILE"]


def test_the_profile_of_srgb_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels, kinds = read(saved(RGB, "PNG", {"icc_profile": profile}))
    np.testing.assert_array_equal(pixels, np.asarray(RGB))
    assert kinds == []


@pytest.mark.parametrize("name", ["Linear sRGB", "sRGB-elle-V2", "sRGB"])
def test_the_name_of_a_profile_says_nothing(name):
    profile = swapped_profile().replace("mine".encode("utf-16-be"), name[:4].encode("utf-16-be"))
    assert name[:4] in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    pixels, kinds = read(saved(RGB, "PNG", {"icc_profile": profile}))
    assert np.abs(pixels - np.asarray(RGB).astype(int)).max() > 50
    assert kinds == ["PROFILE"]


@pytest.mark.parametrize("profile", [b"no profile", wide_profile()])
def test_a_profile_that_does_not_fit_is_ignored_as_viewers_do(profile):
    pixels, kinds = read(saved(RGB, "PNG", {"icc_profile": profile}))
    np.testing.assert_array_equal(pixels, np.asarray(RGB))
    assert kinds == []


def test_lab_becomes_rgb():
    lab = Image.merge("LAB", [Image.new("L", (4, 4), 255), *[Image.new("L", (4, 4), 128)] * 2])
    view = displayed(lab, channels=3)
    assert np.asarray(view.image).min() >= 254
    assert view.kinds == [image_modes.OTHER_COLOURS]


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "HSV", "RGBX", "I;16", "I"])
def test_modes_of_no_common_format_are_displayed(mode):
    deep = Image.fromarray(DEEP)
    image = deep if mode == "I;16" else Image.fromarray(DEEP.astype(np.int32)) if mode == "I" else None
    if mode == "PA":
        image = palette(RGB).convert("PA")
    elif image is None:
        image = with_alpha(RGB.convert("L") if mode == "La" else RGB) if mode.endswith("a") else RGB
        image = image.convert(mode)
    assert displayed(image, channels=3).image.mode == "RGB"
    assert displayed(image, channels=1).image.mode == "L"


def test_colour_in_a_grey_set_is_counted():
    assert read(saved(RGB, "PNG", {}), channels=1)[1] == ["COLOUR"]
    assert read(saved(RGB.convert("L"), "PNG", {}), channels=1)[1] == []


def test_broken_exif_data_is_ignored_as_viewers_do():
    info = PngImagePlugin.PngInfo()
    info.add(b"eXIf", b"MM\0*\xff\xff\xff\xff")
    pixels, _ = read(saved(RGB, "PNG", {"pnginfo": info}))
    np.testing.assert_array_equal(pixels, np.asarray(RGB))


@pytest.mark.parametrize("case", [case for case in FILES if not case.startswith("JPEG of orientation")])
def test_a_damaged_file_is_named_or_decoded_and_never_another_error(case):
    image, kind, options, _ = FILES[case]
    whole = saved(image, kind, options)
    for trial in range(40):
        data = bytearray(whole)
        at = int(RANDOM.integers(0, len(data)))
        if trial % 2:
            del data[at:]
        else:
            data[at] ^= int(RANDOM.integers(1, 256))
        try:
            list(decoded([[(f"file{SUFFIXES.get(kind, '')}", bytes(data))]], size=(4, 4)))
        except DataError as error:
            assert str(error).startswith("file")  # noqa: PT017 - some damage does not show


@pytest.mark.parametrize(("gamma", "is_said"), [(100_000, True), (45_455, False), (None, False)])
def test_a_gamma_that_is_not_applied_is_said(gamma, is_said):
    chunks = PngImagePlugin.PngInfo()
    if gamma is not None:
        chunks.add(b"gAMA", gamma.to_bytes(4, "big"))
    assert (image_modes.UNREAD_COLOURS in kinds_of(chunks)) is is_said


def test_a_colour_space_by_number_is_said():
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"cICP", bytes([12, 13, 0, 1]))
    assert image_modes.UNREAD_COLOURS in kinds_of(chunks)


def kinds_of(chunks):
    stream, reading = io.BytesIO(), SplitReading()
    RGB.save(stream, "PNG", pnginfo=chunks)
    list(decoded([[("picture", stream.getvalue())]], channels=3, size=None, reading=reading))
    return set(reading.converted)
