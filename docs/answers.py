"""Keep finished studies as small files, and write the page of answers from them.

python docs/answers.py add runs/momentum   # runs/momentum becomes docs/results/momentum.json.xz; --incomplete: though runs are missing
python docs/answers.py                     # writes docs/answers.md and its figures; `make answers`
"""

import sys
from pathlib import Path

from striate.core.errors import StriateError

DOCS = Path(__file__).parent
RESULTS = DOCS / "results"
sys.path[:0] = [str(DOCS)]

from making import result_file  # noqa: E402


def add(folders: list[str], *, is_incomplete: bool = False) -> None:
    """Keep each study as a file of its name."""
    RESULTS.mkdir(exist_ok=True)
    for folder in map(Path, folders):
        path = RESULTS / f"{folder.resolve().name}{result_file.SUFFIX}"
        content = result_file.pack(folder, is_incomplete=is_incomplete)
        path.write_bytes(content)
        sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)} ({len(content) / 1000:.0f} kB)\n")


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["add", "--incomplete", *folders] if folders:
                add(folders, is_incomplete=True)
            case ["add", *folders] if folders:
                add(folders)
            case _:
                sys.exit(f"usage:\n{__doc__}")
    except (StriateError, ValueError) as error:
        sys.exit(str(error))
