"""The house keeps its shape: small files, small functions, a light cellar, no grab-bags."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "striate").rglob("*.py"))
WALL_FILE, WALL_FUNCTION = 600, 80


def test_no_file_and_no_function_is_beyond_the_wall():
    long_files = [path.name for path in FILES if len(path.read_text().splitlines()) > WALL_FILE]
    long_functions = [
        f"{path.name}:{node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > WALL_FUNCTION
    ]
    assert (long_files, long_functions) == ([], [])


def test_the_cellar_is_small_and_nothing_is_called_utils():
    assert len(list((ROOT / "striate" / "core").glob("[!_]*.py"))) <= 6
    assert not [path for path in FILES if path.stem in {"utils", "util", "helpers", "common", "misc"}]


def test_every_module_says_what_it_is_for():
    silent = [str(path.relative_to(ROOT)) for path in FILES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_every_public_name_has_a_docstring():
    import striate

    assert [name for name in striate.__all__ if name != "__version__" and not getattr(striate, name).__doc__] == []
    assert sorted(striate.__dir__()) == sorted(striate.__all__)
