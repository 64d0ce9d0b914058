"""One image at a time, against torchvision's transforms and against images made by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from striate.data import picture


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


def test_gray_is_repeated_and_color_becomes_luma():
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    assert np.array_equal(picture.convert(gray, 3, None), gray.repeat(3, axis=2))
    color = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert picture.convert(color, 1, None).ravel().tolist() == [76, 150, 29]  # 0.299, 0.587 and 0.114 of 255


def test_sixteen_bits_keep_their_gray_levels():
    deep = np.array([[0, 255, 256, 0x8000, 0xFFFF]], np.uint16)
    assert picture.read(encoded(Image.fromarray(deep)), 1, None).ravel().tolist() == [0, 0, 1, 0x80, 0xFF]


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
