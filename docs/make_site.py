"""Copy the pages of the repository into build/docs, as the site has them: `make site` builds it from there.

Pages that lie outside docs are taken in. A link to a file of the code, which the site does not have, becomes its text.
"""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS, BUILD = ROOT / "docs", ROOT / "build" / "docs"
# Pages outside docs, by their name in the site.
OUTSIDE = {
    "about.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "benchmarks/index.md": "benchmarks/README.md",
    "changes.md": "CHANGELOG.md",
}
KINDS = (".md", ".png", ".svg")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`(?!\]))", re.DOTALL | re.MULTILINE)


def sources() -> dict[str, Path]:
    """Each file of the site by its name there."""
    inside = {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*")) if path.suffix in KINDS}
    notes = {f"benchmarks/{path.name}": path for path in sorted((ROOT / "benchmarks").glob("2*.md"))}
    return {**inside, **notes, **{name: ROOT / path for name, path in OUTSIDE.items()}}


def relinked(markdown: str, name: str, known: dict[str, Path]) -> str:
    """The text of the page `name` with its links as the site has them; code stays as it is."""
    names = {path.resolve(): found for found, path in known.items()}
    source = known[name]

    def link(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        address, _, anchor = target.partition("#")
        if not address or "://" in address:
            return match[0]
        found = names.get((source.parent / address).resolve())
        if found is None:
            return text
        up = "../" * name.count("/")
        return f"{mark}[{text}]({up}{found}{'#' if anchor else ''}{anchor})"

    parts = _CODE.split(markdown)
    return "".join(part if i % 2 else _LINK.sub(link, part) for i, part in enumerate(parts))


def main() -> None:
    shutil.rmtree(BUILD, ignore_errors=True)
    known = sources()
    for name, path in known.items():
        target = BUILD / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            target.write_text(relinked(path.read_text(encoding="utf-8"), name, known), encoding="utf-8")
        else:
            shutil.copyfile(path, target)


if __name__ == "__main__":
    main()
