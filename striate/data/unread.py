"""What lies at a source and is not read, as notes: nothing there is passed over in silence."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from striate.core.records import printable
from striate.data.file_kinds import RAW_SUFFIXES, why_unreadable

MOST_NAMES = 5
MOST_SUFFIXES = 6
# Beside hidden files: what archivers, file servers and desktops leave in folders.
_LEFT_BEHIND = {
    "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__", "thumbs.db", "ehthumbs.db",
    "desktop.ini", "icon\r",
}  # fmt: skip


def is_left_behind(name: str) -> bool:
    """Whether a file or folder is hidden, or made by a program for itself."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


@dataclass
class Unread:
    """Collects what is not read, by reason."""

    root: Path
    left_behind: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)  # images in no class folder
    beside: list[str] = field(default_factory=list)  # whatever lies beside parquet files
    no_images: list[str] = field(default_factory=list)
    no_decoder: dict[str, list[str]] = field(default_factory=dict)  # by what the user can do

    def add_file(self, path: Path, format_name: str) -> None:
        """A file in a place of images that is not decoded; `format_name` if it is an image all the same."""
        if cure := why_unreadable(format_name):
            self.no_decoder.setdefault(cure, []).append(self.name(path))
        elif path.suffix.lower() in RAW_SUFFIXES:
            self.no_decoder.setdefault("camera raw; convert them to PNG or JPEG", []).append(self.name(path))
        else:
            self.no_images.append(self.name(path))

    def name(self, path: Path) -> str:
        return printable(path.relative_to(self.root).as_posix(), keep="")

    def notes(self) -> tuple[str, ...]:
        """A line for each reason."""
        notes = [f"{_by_suffix(names)} not read: {cure}" for cure, names in self.no_decoder.items()]
        if self.outside:
            notes.append(f"{_count(self.outside, 'image')} outside class folders not read: {listed(self.outside)}")
        if self.no_images:
            few = len(self.no_images) <= MOST_NAMES
            what = listed(self.no_images) if few else _by_suffix(self.no_images)
            notes.append(f"not read, as no images: {what}")
        if self.beside:
            notes.append(f"not read, beside the parquet files: {listed(self.beside)}")
        if self.left_behind:
            notes.append(f"not read, as hidden or left by other programs: {listed(self.left_behind)}")
        return tuple(notes)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted. No file is asked what it is, of which there may be a million."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def listed(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def _by_suffix(names: Sequence[str]) -> str:
    """`10 .HEIC files`, `3 .txt and 2 .xml files`."""
    counts = Counter(Path(name).suffix or "other" for name in names).most_common()
    parts = [f"{count:,} {suffix}" for suffix, count in counts[:MOST_SUFFIXES]]
    if rest := sum(count for _, count in counts[MOST_SUFFIXES:]):
        parts.append(f"{rest:,} other")
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{text} file{'' if len(names) == 1 else 's'}"


def _count(names: Sequence[str], word: str) -> str:
    return f"{len(names):,} {word}{'' if len(names) == 1 else 's'}"
