"""The package keeps its shape: full but short files, short functions, a small core, no grab-bags, a docstring each."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FILE, LONGEST_FUNCTION, SHORTEST_FILE = 400, 60, 40
MOST_IN_CORE = 6
GRAB_BAGS = {"utils", "util", "helpers", "common", "misc"}
# Short files with one reader that stay, each with its reason.
SHORT = {
    "striate/cli/engines.py": "each command has a file, which cli/app.py imports when the command runs",
    "striate/data/augment/boxes.py": "each kind of augmentation has a file",
}


@pytest.fixture(scope="module")
def package() -> dict[str, str]:
    """Each file of the package, by its path, with its text."""
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "striate").rglob("*.py"))}


def too_long(files: dict[str, str]) -> Iterator[str]:
    for path, text in files.items():
        if (lines := len(text.splitlines())) > LONGEST_FILE:
            yield f"{path}: {lines} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (lines := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION:
                yield f"{path}:{node.lineno}: {node.name}: {lines} lines"


def too_short(files: dict[str, str]) -> Iterator[str]:
    """Files that exist for the one file that imports them. A package's table of contents may be short."""
    readers = defaultdict(set)
    for path, text in files.items():
        for module in _imported(ast.parse(text)):
            readers[module].add(path)
    for path, text in files.items():
        module = path.removesuffix(".py").replace("/", ".")
        if "__" not in path and len(text.splitlines()) < SHORTEST_FILE and len(readers[module]) == 1:
            yield f"{path}: only {readers[module].pop()} imports it"


def _imported(tree: ast.AST) -> Iterator[str]:
    """Every name that may be a module: for `from a.b import c` both a.b and a.b.c."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def grab_bags(files: dict[str, str]) -> list[str]:
    return [path for path in files if Path(path).stem in GRAB_BAGS]


def silent(files: dict[str, str]) -> list[str]:
    return [path for path, text in files.items() if not ast.get_docstring(ast.parse(text))]


def test_no_file_and_no_function_is_too_long(package):
    assert list(too_long(package)) == []


def test_no_short_file_serves_one_other_alone(package):
    found = [sentence for sentence in too_short(package) if sentence.partition(":")[0] not in SHORT]
    assert found == []


def test_no_exception_is_stale(package):
    assert SHORT.keys() <= {sentence.partition(":")[0] for sentence in too_short(package)}


def test_core_is_small(package):
    assert len([path for path in package if path.startswith("striate/core/") and "__" not in path]) <= MOST_IN_CORE


def test_nothing_is_a_grab_bag(package):
    assert grab_bags(package) == []


def test_every_module_has_a_docstring(package):
    assert silent(package) == []


def test_planted_faults_are_found():
    def function(lines):
        return "def f():\n" + "    pass\n" * (lines - 1)

    assert list(too_long({"a.py": "\n" * 400, "b.py": function(60)})) == []
    assert list(too_long({"a.py": "\n" * 401, "b.py": "\n" + function(61)})) == [
        "a.py: 401 lines",
        "b.py:2: f: 61 lines",
    ]
    one = {"s/a.py": "import s.b", "s/b.py": "", "s/long.py": "\n" * 40, "s/__init__.py": "from s import long"}
    assert list(too_short(one)) == ["s/b.py: only s/a.py imports it"]
    assert list(too_short({**one, "s/c.py": "def f():\n    from s.b import g"})) == []
    assert grab_bags({"s/helpers.py": "", "s/help.py": ""}) == ["s/helpers.py"]
    assert silent({"s/a.py": '"""Says."""', "s/b.py": "# says"}) == ["s/b.py"]


def test_every_public_name_has_a_docstring():
    import striate

    assert [name for name in striate.__all__ if name != "__version__" and not getattr(striate, name).__doc__] == []
    assert sorted(striate.__dir__()) == sorted(striate.__all__)
