"""The questions of the page: the built-in studies that have a row, each with its results, if they have been added."""

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
    """A built-in study, and what is known of it. `why_not`: why there are no results."""

    name: str
    rows: tuple[str, ...]  # of the table of questions, the main one first
    study: Study
    results: Results | None
    why_not: str = ""


@contextmanager
def questions(folder: Path) -> Iterator[list[Question]]:
    """All of them, by row, with the results of the files in `folder`.

    Raises:
        ValueError: for a file of results that no built-in study has.
    """
    studies = {name: study for name, study in built_in().items() if rows_of(study)}
    paths = {path.name.removesuffix(result_file.SUFFIX): path for path in sorted(folder.glob(f"*{result_file.SUFFIX}"))}
    if unknown := paths.keys() - studies.keys():
        raise ValueError(
            f"{folder}: has results of {', '.join(sorted(unknown))}, which no built-in study with a row is called"
        )
    why_not = notes(folder).get("not measured", {})
    with TemporaryDirectory() as temporary:
        restored = {name: result_file.restore(path, Path(temporary)) for name, path in paths.items()}
        found = [
            Question(
                name,
                rows_of(study),
                study,
                Results.read(restored[name]) if name in restored else None,
                why_not.get(name, ""),
            )
            for name, study in studies.items()
        ]
        yield sorted(found, key=lambda question: (question.rows, question.name))


def notes(folder: Path) -> dict:
    """What is written by hand beside the results: why something was not measured, and which answers the README has."""
    path = folder / NOTES
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}


def rows_of(study: Study) -> tuple[str, ...]:
    return tuple(part.strip() for part in study.row.split(",") if part.strip())
