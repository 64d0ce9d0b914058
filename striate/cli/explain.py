"""`striate explain`: pictures and numbers of the inside of a run's network, and where they are."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich import progress as rich_progress
from rich.console import Console

from striate import cli
from striate.cli.output import count, out, plain_json
from striate.core.errors import NetworkError
from striate.explain.attribution import METHODS, Method
from striate.explain.request import Request, parsed_unit
from striate.explain.run import Subject
from striate.explain.write import KINDS, read, write
from striate.runs import layout

LINE_SECONDS = 10.0  # between two lines of progress, where stderr is no terminal


def explain(
    folder: Path,
    kinds: list[str],
    request: Request,
    split: str,
    data: str,
    device: str,
    into: Path | None,
    as_json: bool,
) -> int:
    """The command."""
    for kind in kinds:
        if kind not in KINDS:
            raise NetworkError(f"KIND: must be one of {', '.join(KINDS)}, got '{kind:.40}'")
    into = into or folder / layout.EXPLAIN
    with _display() as report:
        try:
            page = write(Subject.open(folder, split, device, data), kinds, request, into, report)
        except KeyboardInterrupt:
            out(f"Stopped. What was finished is in {into}.", error=True)
            return cli.INTERRUPTED
    explained = read(into)
    assert explained is not None
    shown = [section for section in explained.sections if section.kind in (kinds or KINDS)]
    if as_json:
        plain_json({"page": str(page), "sections": [section.model_dump(mode="json") for section in shown]})
        return 0
    for section in shown:
        out(f"{section.title}: {count(len(section.pictures), 'picture')}", bold=True)
        for paragraph in section.text:
            out(f"  {paragraph}")
    out(f"\nPage: {page}")
    return 0


def request_of(
    layers: list[str], units: list[str], images: list[str], class_name: str, methods: list[str], limit: int | None
) -> Request:
    """The options of the command line as a request.

    Raises:
        NetworkError: for a unit or a method that is none.
    """
    unknown = next((name for name in methods if name not in METHODS), None)
    if unknown is not None:
        raise NetworkError(f"--method: must be one of {', '.join(METHODS)}, got '{unknown:.40}'")
    chosen: tuple[Method, ...] = tuple(method for method in METHODS if method in methods) or METHODS
    return Request(
        layers=tuple(layers),
        units=tuple(map(parsed_unit, units)),
        images=tuple(images),
        class_name=class_name,
        methods=chosen,
        limit=limit,
    )


class _Report(Protocol):
    def __call__(self, kind: str, share: float, /) -> None: ...


@contextmanager
def _display() -> Iterator[_Report]:
    """A bar for each kind if stderr is a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with rich_progress.Progress(console=Console(stderr=True, highlight=False), transient=True) as bars:
        tasks: dict[str, rich_progress.TaskID] = {}

        def report(kind: str, share: float) -> None:
            if kind not in tasks:
                tasks[kind] = bars.add_task(kind, total=1.0)
            bars.update(tasks[kind], completed=share)

        yield report


class _Lines:
    """Says when a kind is finished, and how far a long one is."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._done: set[str] = set()

    def __call__(self, kind: str, share: float, /) -> None:
        is_due = time.monotonic() - self._last > LINE_SECONDS
        if kind in self._done or (share < 1 and not is_due):
            return
        self._last = time.monotonic()
        if share >= 1:
            return
        out(f"{kind}: {100 * share:.0f} %", error=True)
