"""A missing extra is named with its cure; a broken package keeps its own error."""

import pytest

from striate.core.errors import MissingExtra
from striate.core.optional import require


def test_a_missing_package_is_named_with_its_cure():
    with pytest.raises(MissingExtra, match=r"Scheduling needs no_such_package: pip install 'striate\[ray\]'"):
        require("no_such_package", extra="ray", why="Scheduling")


def test_a_package_that_is_there_is_imported():
    assert require("json", extra="x", why="y").loads("1") == 1


def test_a_missing_import_inside_the_package_is_not_called_a_missing_package(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import absent_inside")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="absent_inside") as caught:
        require("broken_package", extra="x", why="y")
    assert not isinstance(caught.value, MissingExtra)
