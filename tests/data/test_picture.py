"""One image at a time, against torchvision's transforms and against images made by hand."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from striate.data import picture
from tests.data.odd_folders import exif_not_to_be_written, png_16_bit_color


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(40, 60), (61, 37), (33, 33), (20, 90), (16, 16)])
def test_size_is_resize_and_center_crop(shape):
    from torchvision.transforms import v2

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    reference = v2.Compose([v2.Resize(16, antialias=True), v2.CenterCrop(16)])(image)
    assert np.array_equal(picture.read(encoded(image), 3, 16), np.asarray(reference))


def test_upright_as_the_camera_says():
    image = Image.new("RGB", (6, 4))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    turned = picture.read(encoded(image, exif=exif), 3, None)
    assert turned.shape == (6, 4, 3)
    assert np.argwhere(turned[..., 0]).tolist() == [[0, 3]]


def test_upright_also_where_the_other_entries_cannot_be_written_back():
    """Such a photograph was once called broken."""
    data = encoded(Image.new("RGB", (6, 4)), "JPEG", exif=exif_not_to_be_written())
    with pytest.raises(struct.error, match="argument out of range"):
        ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert picture.read(data, 3, None).shape == (6, 4, 3)


def test_gray_is_repeated_and_color_becomes_luma():
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    assert np.array_equal(picture.convert(gray, 3, None), gray.repeat(3, axis=2))
    color = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert picture.convert(color, 1, None).ravel().tolist() == [76, 150, 29]  # 0.299, 0.587 and 0.114 of 255


def test_sixteen_bits_keep_their_gray_levels():
    deep = np.array([[0, 255, 256, 0x8000, 0xFFFF]], np.uint16)
    assert picture.read(encoded(Image.fromarray(deep)), 1, None).ravel().tolist() == [0, 0, 1, 0x80, 0xFF]


@pytest.mark.parametrize(("largest", "bits"), [(255, 8), (256, 10), (1023, 10), (4095, 12), (16383, 14), (16384, 16)])
def test_the_range_of_sixteen_bits_is_that_of_a_camera(largest, bits):
    assert picture.depth_of(largest) == bits
    deep = np.array([[0, largest]], np.uint16)
    found = picture.decode(encoded(Image.fromarray(deep)), 1, None, bits)
    assert found.largest == largest
    assert found.pixels.ravel().tolist() == [0, largest >> (bits - 8)]


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_sixteen_bits_in_color_are_read_whole(bits):
    """Pillow gives the high bytes alone, which turned 12 bits black."""
    values = np.array([[[0, 40, 200], [4095, 255, 16]]], np.uint16)
    expected = np.minimum(values.astype(int) >> (bits - 8), 255)
    assert picture.read(png_16_bit_color(values), 3, None, bits).tolist() == expected.tolist()


@pytest.mark.parametrize("values", [[-1, 5], [0, 70_000]])
def test_values_beyond_sixteen_bits_are_refused(values):
    image = Image.fromarray(np.array([values], np.int32))
    with pytest.raises(ValueError, match=f"pixels are {values[0]} to {values[1]}; save it with 8 bits a channel"):
        picture.read(encoded(image, "TIFF"), 1, None)


def test_a_palette_keeps_its_colors():
    image = Image.new("P", (1, 1))
    image.putpalette([10, 20, 30])
    data = encoded(image, transparency=bytes([0]))
    assert picture.read(data, 3, None).tolist() == [[[10, 20, 30]]]


def test_floating_point_is_refused():
    with pytest.raises(ValueError, match="save it with 8 bits"):
        picture.read(encoded(Image.new("F", (2, 2)), "TIFF"), 3, None)


def test_a_line_does_not_become_a_giant():
    with pytest.raises(ValueError, match="too elongated for a square of 1000"):
        picture.read(encoded(Image.new("L", (1, 1000))), 1, 1000)


def test_no_decoder_that_starts_another_program():
    with pytest.raises(Image.UnidentifiedImageError, match="cannot identify image file"):
        picture.read(encoded(Image.new("RGB", (2, 2)), "EPS"), 3, None)
