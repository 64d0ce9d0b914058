"""The manual and the program say the same."""

import importlib.util
import re
from pathlib import Path

import pytest

import striate
from striate.cli.app import app
from striate.studies.loaded import built_in

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)

MANUAL = "\n".join(path.read_text() for path in [*DOCS.glob("*.md"), ROOT / "README.md"])


def test_the_generated_parts_are_fresh():
    stale = [path.name for path, text in generate.pages().items() if path.read_text() != text]
    assert not stale, "run: make docs"


def test_a_stale_part_would_be_found():
    page = (DOCS / "study-file.md").read_text()
    assert generate.with_tables(page.replace("| `epochs` |", "| `epoch` |")) == page


def test_a_wrong_number_in_the_walkthrough_would_be_found():
    page = (DOCS / "from-scratch.md").read_text()
    assert "0.57668998" in page
    assert generate.with_walkthrough(page.replace("0.57668998", "0.57668997")) == page


@pytest.mark.parametrize("name", [name for name in striate.__all__ if name != "__version__"])
def test_every_public_name_is_in_the_manual(name):
    assert f"`{name}" in (DOCS / "python.md").read_text()


@pytest.mark.parametrize("name", [command.callback.__name__ for command in app.registered_commands])
def test_every_command_is_in_the_readme(name):
    assert f"striate {name}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("record", generate.records())
def test_every_key_of_a_study_file_is_explained(record):
    fields = generate.records()[record].model_fields
    assert [name for name, field in fields.items() if not field.description] == []
    assert f"<!-- table: {record} -->" in MANUAL


def test_every_built_in_study_is_in_the_manual_which_the_readme_links():
    assert [name for name in built_in() if f"| `{name}`" not in (DOCS / "studies.md").read_text()] == []
    assert "(docs/studies.md)" in (ROOT / "README.md").read_text()


def test_the_readme_shows_the_first_study_as_it_is():
    study = built_in()["quickstart"]
    assert (
        f"$ striate run quickstart\n{study.question}\n  With {len(study.seeds)} seeds each"
        in (ROOT / "README.md").read_text()
    )


def test_links_and_pictures_in_the_manual_are_there():
    broken = []
    for page in [*DOCS.glob("*.md"), *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken


def test_the_study_files_in_the_manual_are_read(tmp_path):
    from striate.studies.loaded import load

    found = [text for text in re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL) if "question:" in text]
    assert found
    for index, text in enumerate(found):
        path = tmp_path / f"{index}.yaml"
        path.write_text(text)
        assert load(path).study.comparisons


def test_the_changelog_has_this_version():
    assert f"## {striate.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def unknown_options(manual: str) -> list[str]:
    """Options that a command in a block of the manual has and the program has not."""
    options = {name: generate._parameters(command.callback) for name, command in commands().items()}
    unknown = []
    for line in re.findall(
        r"^(?:\$ |\w+=\S+ )*striate (.*)$", "\n".join(re.findall(r"```.*?```", manual, re.DOTALL)), re.MULTILINE
    ):
        words = line.partition("#")[0].split()
        table = options.get(words[0], "")
        unknown += [
            f"striate {words[0]} {word}" for word in words[1:] if word.startswith("--") and f"`{word}`" not in table
        ]
        unknown += [] if words[0] in options else [f"striate {words[0]}"]
    return unknown


def commands():
    return {command.callback.__name__: command for command in app.registered_commands}


def test_the_commands_of_the_manual_exist():
    assert MANUAL.count("```") % 2 == 0
    assert unknown_options(MANUAL) == []


def test_a_command_that_does_not_exist_would_be_found():
    planted = "```\nstriate explain RUN maps --layers conv1\nPYTHONPATH=. striate explian RUN\n```\nstriate nothing"
    assert unknown_options(planted) == ["striate explain --layers", "striate explian"]
