"""What a file holds, by its first bytes: its suffix may say something else, or nothing."""

import importlib.util
import os
from functools import cache
from pathlib import Path

# Listed, so that no file can start another program, as Pillow's PostScript decoder does.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "JPEG2000")
SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".dib", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
}  # fmt: skip
# Sensor data of cameras. Most have the first bytes of TIFF, and Pillow would read their thumbnails.
RAW_SUFFIXES = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".k25", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
}  # fmt: skip
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
HEAD_BYTES = 64


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats that this installation decodes. HEIF is that of phones: the extra `heif`."""
    from PIL import features

    formats = [*FORMATS, *(["AVIF"] if features.check("avif") else [])]
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
        formats.append("HEIF")
    return tuple(formats)


def image_format(head: bytes) -> str:
    """Pillow's name of the format whose files begin with these bytes; empty if they are no image known here."""
    if head[4:8] == b"ftyp":
        return _format_of_brands(head)
    if head[:2] == b"BM":
        return "BMP" if int.from_bytes(head[14:18], "little") in _BMP_HEADERS else ""
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM" if head[3:4].isdigit() or head[3:4] in (b"#", b" ") else ""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    starts = {
        b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF",
        b"\0\0\0\x0cjP  ": "JPEG2000", b"\xff\x4f\xff\x51": "JPEG2000",
    }  # fmt: skip
    return next((name for start, name in starts.items() if head.startswith(start)), "")


def _format_of_brands(head: bytes) -> str:
    """HEIF and AVIF share a container; its brands tell them apart."""
    end = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[i : i + 4] for i in range(16, min(end, len(head)), 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else ""


def format_of(path: Path | str) -> str:
    """The format of an image file by its content; empty for another file, and for one that cannot be opened."""
    if os.path.splitext(path)[1].lower() in RAW_SUFFIXES or not os.path.isfile(path):  # a pipe would keep us waiting
        return ""
    try:
        with open(path, "rb") as file:
            return image_format(file.read(HEAD_BYTES))
    except OSError:
        return ""


def why_unreadable(format_name: str) -> str:
    """How to read images of a format that this installation does not decode; empty where it does."""
    if not format_name or format_name in readable_formats():
        return ""
    return {
        "HEIF": "pip install 'striate[heif]'",
        "AVIF": "pip install --upgrade pillow",
    }.get(format_name, "convert them to PNG or JPEG")
