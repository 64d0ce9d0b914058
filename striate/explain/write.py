"""What `striate explain` writes: PNG files, explain.json and index.html in the folder `explain` of a run; for a study's page a part of it.

A section is written when it is done, its pictures first; then the record and the page, each whole. So an interrupt leaves the sections
that are done, and a page without a missing picture. The page needs no script and no network, and has a light and a dark form.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from striate.core.errors import NetworkError
from striate.core.records import printable
from striate.explain.attribution_section import attribution_section
from striate.explain.inside import inside_drafts
from striate.explain.patch_sections import patches_section, unit_section
from striate.explain.request import Request
from striate.explain.run import Subject
from striate.explain.sections import Draft, Progress, filters_section, maps_section, silent
from striate.runs import layout
from striate.runs.explained import digest, read_explained
from striate.runs.files import disk_errors, write_atomic, write_text
from striate.runs.records import Explained

KINDS: dict[str, Callable[[Subject, Request, Progress], Draft]] = {
    "filters": filters_section,
    "maps": maps_section,
    "patches": patches_section,
    "attribution": attribution_section,
    "unit": unit_section,
}
_TEMPLATES = files("striate.explain").joinpath("templates")


def write(
    subject: Subject,
    kinds: Sequence[str],
    request: Request,
    folder: Path,
    report: Callable[[str, float], None] = lambda kind, share: None,
) -> Path:
    """Write these kinds into `folder`, beside those that it has; the path of the page.

    Without kinds all are written, and one that the network does not allow says why.

    Raises:
        NetworkError: for a kind that does not exist, or one asked for that the network does not allow.
        RunError: when the disk refuses.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise NetworkError(f"'{kind:.40}': must be one of {', '.join(KINDS)}")
    subject.network.graph  # noqa: B018 - an error in it is of no one kind
    for kind in kinds or KINDS:
        try:
            draft = KINDS[kind](subject, request, lambda share, kind=kind: report(kind, share))  # type: ignore[misc]
        except NetworkError as error:
            if kinds:
                raise
            draft = Draft(kind, kind.capitalize(), text=[f"Left out: {error}."])
        _add(folder, draft, subject)
        report(kind, 1.0)
    return folder / layout.EXPLAIN_PAGE


def page(explained: Explained) -> str:
    """The page as HTML."""
    return _environment().get_template("index.html.j2").render(explained=explained, css=Markup(_template("index.css")))


def write_inside(subject: Subject, folder: Path, limit: int | None = None, progress: Progress = silent) -> Explained:
    """Write what a study's page shows of this network into `folder`: the pictures, then the record that names them.

    Raises:
        RunError: when the disk refuses.
    """
    drafts = inside_drafts(subject, limit, progress)
    explained = _empty(subject).replace(sections=tuple(draft.section() for draft in drafts))
    for draft in drafts:
        _save(folder, draft)
    write_text(folder / layout.EXPLAIN_RECORD, explained.model_dump_json(indent=1) + "\n")
    for draft in drafts:
        _remove_older(folder, draft.kind, explained)
    return explained


def _add(folder: Path, draft: Draft, subject: Subject) -> None:
    _save(folder, draft)
    new, old = _empty(subject), read_explained(folder)
    same = old is not None and (old.run, old.weights, old.digest) == (new.run, new.weights, new.digest)
    explained = (old if old and same else new).with_section(draft.section(), tuple(KINDS))
    write_text(folder / layout.EXPLAIN_RECORD, explained.model_dump_json(indent=1) + "\n")
    write_text(folder / layout.EXPLAIN_PAGE, page(explained))
    _remove_older(folder, draft.kind, explained)


def _empty(subject: Subject) -> Explained:
    run = subject.run.folder
    return Explained(
        run=" / ".join(run.absolute().parts[-3:]), weights=subject.weights, digest=digest(run / subject.weights)
    )


def _save(folder: Path, draft: Draft) -> None:
    for name, content in draft.files.items():
        write_atomic(folder / name, lambda path, content=content: _write_bytes(path, content))  # type: ignore[misc]


def _remove_older(folder: Path, kind: str, explained: Explained) -> None:
    """Remove pictures of this kind and of an earlier call: no page shows them any more."""
    used = {picture.file for section in explained.sections for picture in section.pictures}
    with disk_errors(folder):
        for path in folder.glob(f"{kind}-*.png"):
            if path.name not in used:
                path.unlink()


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda item: (
            item if isinstance(item, Markup) or not isinstance(item, str) else printable(item, keep="")
        ),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> str:
    return _TEMPLATES.joinpath(name).read_text(encoding="utf-8")
