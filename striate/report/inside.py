"""Inside the network: pictures that `striate explain` made of the median runs of at most two arms.

They are read from the run folders, and shown only if they belong to the weights that are there. Nothing is computed here.
"""

import base64
import shlex
from dataclasses import dataclass
from pathlib import Path

from striate.report.answers import StudyAnswers
from striate.report.wording import abbreviated, count
from striate.runs import Run, layout
from striate.runs.explained import digest, read_explained, weights_file
from striate.runs.records import ExplainedPicture, ExplainedSection
from striate.studies.results import Results
from striate.studies.rows import RunRow

PNG = b"\x89PNG\r\n\x1a\n"
BESIDE = 440  # pixels: two pictures of this width fit beside each other
MOST_BYTES = 700_000  # of the pictures of a network: the page has room for two


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    uri: str
    title: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    title: str
    text: tuple[str, ...]
    pictures: tuple[Picture, ...]

    @property
    def is_wide(self) -> bool:
        """Whether its pictures fill the page, so that two do not fit beside each other."""
        return any(picture.width > BESIDE for picture in self.pictures)


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    rule: str
    networks: tuple[Network, ...]
    missing: str  # the runs without pictures
    command: str  # what makes them


def inside(answers: StudyAnswers) -> Inside | None:
    """None where no run has trained."""
    rows = median_runs(answers)
    if not rows:
        return None
    networks, missing = [], []
    for row in rows:
        name = f"{abbreviated(row.arm)}, seed {row.seed}"
        parts = _parts(row.run) if row.run else ()
        if parts:
            networks.append(Network(title=name, parts=parts))
        else:
            missing.append(name)
    return Inside(
        rule=_rule(answers, rows),
        networks=tuple(networks),
        missing=" and of ".join(missing),
        command=command(answers.results),
    )


def median_runs(answers: StudyAnswers) -> tuple[RunRow, ...]:
    """Of the baseline and of the best other arm the run of the median test accuracy; of an even number the lower one in the middle."""
    rows = []
    for arm in answers.pair:
        trained = [row for row in answers.results.of(arm) if row.trained and row.test_accuracy is not None]
        trained.sort(key=lambda row: (row.test_accuracy or 0.0, row.seed))
        rows.append(trained[(len(trained) - 1) // 2])
    return tuple(rows)


def command(results: Results) -> str:
    """The command that makes the pictures, for somebody who is where 'striate run' was called."""
    return f"striate explain {shlex.quote(f'runs/{results.folder.absolute().name}')}"


def _rule(answers: StudyAnswers, rows: tuple[RunRow, ...]) -> str:
    networks = []
    for row in rows:
        trained = sum(each.trained for each in answers.results.of(row.arm))
        median = (
            f"the median of {count(trained, 'run')} by test accuracy" if trained > 1 else "its one run that trained"
        )
        networks.append(f"{abbreviated(row.arm)} with seed {row.seed} ({median})")
    return f"{' and '.join(networks)}. {answers.pair_in_words}".rstrip()


def _parts(run: Run) -> tuple[Part, ...]:
    """The parts with their pictures; none if one of them is not there, or not of these weights."""
    folder = run.folder / layout.EXPLAIN / layout.EXPLAIN_REPORT
    explained, weights = read_explained(folder), weights_file(run.folder)
    if explained is None or weights is None or (explained.weights, explained.digest) != (weights.name, digest(weights)):
        return ()
    contents = [[_content(folder, picture) for picture in section.pictures] for section in explained.sections]
    if sum(len(content) for part in contents for content in part) > MOST_BYTES or not all(map(all, contents)):
        return ()
    return tuple(_part(section, part) for section, part in zip(explained.sections, contents, strict=True))


def _part(section: ExplainedSection, contents: list[bytes]) -> Part:
    pictures = tuple(
        Picture(
            uri=f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}",
            title=picture.title,
            caption=picture.caption,
            width=picture.width,
            height=picture.height,
        )
        for picture, content in zip(section.pictures, contents, strict=True)
    )
    return Part(title=section.title, text=section.text, pictures=pictures)


def _content(folder: Path, picture: ExplainedPicture) -> bytes:
    """The file, if it is a PNG file of this folder; empty if not: a run folder may come from anyone."""
    if Path(picture.file).name != picture.file:
        return b""
    try:
        content = (folder / picture.file).read_bytes()
    except OSError:
        return b""
    return content if content.startswith(PNG) else b""
