"""Which images are meant by files, folders, patterns and lists of names, in the order in which they are given."""

import glob
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path

from striate.core.errors import DataError
from striate.data.contents import EncodedImage
from striate.data.file_kinds import HEAD_BYTES, image_format
from striate.data.sources.folders import images_below
from striate.data.unread import Unread

Note = Callable[[str], None]


def expand(which: str | Path, note: Note = lambda _: None) -> Iterator[EncodedImage]:
    """The images of a file, of a folder however deep, or of a pattern (`photos/**/*.jpg`), the last two in the order of names.

    A file that does not exist is given all the same, to be reported where it is read. `note` is told what a folder
    holds beside images.

    Raises:
        DataError: for a folder that cannot be listed.
    """
    path = Path(which)
    if path.is_dir():
        yield from _below(path, note)
        return
    matches = sorted(glob.glob(str(which), recursive=True)) if glob.has_magic(str(which)) and not path.exists() else []
    for match in map(Path, matches):
        if match.is_file():
            yield EncodedImage(str(match), match)
    if not matches:
        yield EncodedImage(str(which), path)


def _below(folder: Path, note: Note) -> Iterator[EncodedImage]:
    unread = Unread(folder)
    try:
        paths = images_below(folder, unread)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
    for text in (*unread.notes(), *([] if paths else ["there are no images here"])):
        note(f"{folder}: {text}")
    for path in paths:
        yield EncodedImage(str(path), path)


def from_stream(stream: BufferedReader, note: Note) -> Iterator[EncodedImage]:
    """What a pipe sends: one image, or the names of files, folders and patterns, one a line."""
    if image_format(stream.peek(HEAD_BYTES)[:HEAD_BYTES]):
        yield EncodedImage("-", stream.read())
        return
    for line in stream:
        name = line.rstrip(b"\r\n").decode(errors="surrogateescape")
        if name:
            yield from expand(name, note)


def expand_all(which: Iterable[str], stdin: BufferedReader, note: Note) -> Iterator[EncodedImage]:
    """The images of each, one after another; `-` means what a pipe sends."""
    for each in which:
        yield from (from_stream(stdin, note) if each == "-" else expand(each, note))
