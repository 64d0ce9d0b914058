"""Keep finished studies as small files, and write the page of answers from them.

python docs/answers.py add runs/momentum   # runs/momentum becomes docs/results/momentum.json.xz; --incomplete: though runs are missing
python docs/answers.py                     # writes docs/answers.md and its figures; `make answers`
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from striate.core.errors import StriateError

DOCS = Path(__file__).parent
RESULTS = DOCS / "results"
README = DOCS.parent / "README.md"
BLOCK = re.compile(r"(<!-- answers -->\n).*?(<!-- end -->)", re.DOTALL)
sys.path[:0] = [str(DOCS)]

from making import drawing, measured, result_file  # noqa: E402
from making.facts import Row, facts  # noqa: E402
from making.page import IMAGES, headline, page  # noqa: E402
from making.questions import Question, notes, questions  # noqa: E402


def add(folders: list[str], *, is_incomplete: bool = False) -> None:
    """Keep each study as a file of its name."""
    RESULTS.mkdir(exist_ok=True)
    for folder in map(Path, folders):
        name, content = result_file.pack(folder, is_incomplete=is_incomplete)
        path = RESULTS / f"{name}{result_file.SUFFIX}"
        path.write_bytes(content)
        sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)} ({len(content) / 1000:.0f} kB)\n")


def computed() -> list[Row]:
    """The claims that no training decides."""
    return [*facts(), *measured.rows(RESULTS)]


def texts(asked: Sequence[Question], computed: Sequence[Row]) -> dict[Path, str]:
    """The pages, without the figures."""
    readme = README.read_text(encoding="utf-8")
    lines = (headline(pick, asked, computed) for pick in notes(RESULTS)["surprising"])
    block = "".join(f"- {line}\n" for line in lines if line)
    return {
        DOCS / "answers.md": page(asked, computed),
        README: BLOCK.sub(lambda marked: f"{marked[1]}{block}{marked[2]}", readme),
    }


def figures(asked: Sequence[Question]) -> dict[Path, drawing.Figure]:
    """The figures of the page, by the file of each."""
    measured = [question for question in asked if question.results]
    made = [figure for question in measured for figure in drawing.figures_of(question.results, question.name)]
    return {DOCS / IMAGES / figure.file: figure for figure in made}


def is_fresh(path: Path, figure: drawing.Figure) -> bool:
    """Whether a file is the figure of these numbers."""
    return path.exists() and figure.stamp in path.read_text(encoding="utf-8")


def write() -> None:
    """Write what differs; figures are drawn only where their numbers changed."""
    with questions(RESULTS) as asked:
        pages, made = texts(asked, computed()), figures(asked)
        stale = [figure for path, figure in made.items() if not is_fresh(path, figure)]
        pages |= {DOCS / IMAGES / name: text for name, text in drawing.files_of(stale).items()}
    for path in (DOCS / IMAGES).glob("*.svg"):
        if path not in made:
            path.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case []:
                write()
            case ["measure", *data] if len(data) < 2:
                measured.measure(RESULTS / measured.FILE, *(data or ["cifar10"]))
            case ["add", "--incomplete", *folders] if folders:
                add(folders, is_incomplete=True)
            case ["add", *folders] if folders:
                add(folders)
            case _:
                sys.exit(f"usage:\n{__doc__}")
    except (StriateError, ValueError) as error:
        sys.exit(str(error))
