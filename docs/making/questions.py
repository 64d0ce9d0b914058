"""The questions of the page: the built-in studies that have a row, and others that were run for it, with their results."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from making import result_file
from striate.studies.loaded import built_in
from striate.studies.results import Results
from striate.studies.study import Study

NOTES = "notes.yaml"


@dataclass(frozen=True)
class Question:
    """A study, and what is known of it. `why_not`: why there are no results; `remark`: what a reader must know, by hand."""

    name: str
    rows: tuple[str, ...]  # of the table of questions, the main one first
    study: Study
    results: Results | None
    why_not: str = ""
    is_built_in: bool = True
    remark: str = ""


@contextmanager
def questions(folder: Path) -> Iterator[list[Question]]:
    """All of them, by row: the built-in studies that have one, and others whose results are in `folder`.

    Raises:
        ValueError: for results of a study without a row.
    """
    paths = {path.name.removesuffix(result_file.SUFFIX): path for path in sorted(folder.glob(f"*{result_file.SUFFIX}"))}
    why_not, remarks = (notes(folder).get(key, {}) for key in ("not measured", "remarks"))
    with TemporaryDirectory() as temporary:
        results = {name: Results.read(result_file.restore(path, Path(temporary))) for name, path in paths.items()}
        studies = {name: found.study for name, found in results.items()} | built_in()
        found = [
            Question(
                name,
                rows_of(study),
                study,
                results.get(name),
                why_not.get(name, ""),
                name in built_in(),
                remarks.get(name, ""),
            )
            for name, study in studies.items()
            if rows_of(study) or name in results
        ]
        if unknown := [question.name for question in found if not question.rows]:
            raise ValueError(
                f"{folder}: has results of {', '.join(unknown)}, whose study has no row; give it one ('row: C5')"
            )
        yield sorted(found, key=lambda question: (question.rows, question.name))


def notes(folder: Path) -> dict:
    """What is written by hand beside the results: why something was not measured, and which answers the README has."""
    path = folder / NOTES
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}


def rows_of(study: Study) -> tuple[str, ...]:
    return tuple(part.strip() for part in study.row.split(",") if part.strip())
