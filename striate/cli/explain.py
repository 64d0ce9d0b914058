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
from striate.core.errors import NetworkError, RunError, StudyError
from striate.explain.attribution import METHODS, Method
from striate.explain.request import Request, parsed_unit
from striate.explain.run import SPLITS, Subject
from striate.explain.write import KINDS, write, write_inside
from striate.report import inside, pages
from striate.report.answers import StudyAnswers
from striate.runs import layout
from striate.runs.explained import read_explained
from striate.studies.results import Results

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
    """The command: a run, or the runs that a study's page shows."""
    if (folder / layout.STUDY).is_file():
        _refuse_for_study(folder, kinds, request, split, into)
        return _study(folder, request.limit, data, device, as_json)
    if not (folder / layout.RUN).is_file():
        raise RunError(
            f"{folder}: holds no run (no {layout.RUN}) and no study (no {layout.STUDY}); give the folder of one"
        )
    for kind in kinds:
        if kind not in KINDS:
            raise NetworkError(f"KIND: must be one of {', '.join(KINDS)}, got '{kind:.40}'")
    _refuse_unused(kinds, request)
    into = into or folder / layout.EXPLAIN
    with _display() as report:
        try:
            page = write(Subject.open(folder, split, device, data), kinds, request, into, report)
        except KeyboardInterrupt:
            out(f"Stopped. What was finished is in {into}.", error=True)
            return cli.INTERRUPTED
    explained = read_explained(into)
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


# The options that each kind uses.
USES = {
    "filters": {"--layer"},
    "maps": {"--layer", "--image", "--class", "--limit"},
    "patches": {"--layer", "--unit", "--class", "--limit"},
    "attribution": {"--layer", "--unit", "--image", "--class", "--method"},
    "unit": {"--layer", "--unit", "--image", "--class"},
}


def _given(request: Request) -> dict[str, bool]:
    return {
        "--layer": bool(request.layers),
        "--unit": bool(request.units),
        "--image": bool(request.images),
        "--class": bool(request.class_name),
        "--method": request.methods != METHODS,
        "--limit": request.limit is not None,
    }


def _refuse_unused(kinds: list[str], request: Request) -> None:
    """
    Raises:
        NetworkError: for an option that none of the kinds uses, which would say nothing.
    """
    used = {option for kind in kinds or KINDS for option in USES[kind]}
    if unused := [name for name, is_given in _given(request).items() if is_given and name not in used]:
        raise NetworkError(f"{' and '.join(unused)}: {' and '.join(kinds)} cannot use it; leave it out")


def _refuse_for_study(folder: Path, kinds: list[str], request: Request, split: str, into: Path | None) -> None:
    """
    Raises:
        StudyError: for what is asked of a run only: the page's pictures follow one rule.
    """
    given = {
        "KIND": kinds,
        **{name: is_given for name, is_given in _given(request).items() if name != "--limit"},
        "--split": split != SPLITS[0],
        "--out": into,
    }
    if names := [name for name, value in given.items() if value]:
        raise StudyError(
            f"{folder}: is a study, whose page shows pictures by one rule; leave {' and '.join(names)} out, or give the folder of a run"
        )


def _study(folder: Path, limit: int | None, data: str, device: str, as_json: bool) -> int:
    """Make the pictures of the page's section "Inside the network", and the page."""
    results = Results.read(folder)
    rows = inside.median_runs(StudyAnswers(results))
    if not rows:
        raise StudyError(
            f"{folder}: no run has trained yet, so there is nothing to look into; call 'striate run' first"
        )
    folders = [layout.run_folder(folder, row.arm, row.seed) for row in rows]
    written = []
    with _display() as report:
        try:
            # All are opened before the first is written: what is refused is refused at once.
            for row, subject in zip(rows, [Subject.open(each, "test", device, data) for each in folders], strict=True):
                into = subject.run.folder / layout.EXPLAIN / layout.EXPLAIN_REPORT
                name = f"{row.arm}, seed {row.seed}"
                explained = write_inside(subject, into, limit, lambda share, name=name: report(name, share))  # type: ignore[misc]
                written.append((row, into, explained))
        except KeyboardInterrupt:
            out("Stopped. What was finished is on the page after 'striate report'.", error=True)
            return cli.INTERRUPTED
    page = pages.write(results)
    if as_json:
        networks = [
            {"arm": row.arm, "seed": row.seed, "folder": str(into), **explained.model_dump(mode="json")}
            for row, into, explained in written
        ]
        plain_json({"report": str(page), "networks": networks})
        return 0
    for row, into, explained in written:
        pictures = sum(len(section.pictures) for section in explained.sections)
        out(f"{row.arm}, seed {row.seed}: {count(pictures, 'picture')} in {into}")
    out(f"\nReport: {page}")
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
