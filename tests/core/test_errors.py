"""The tree of errors: complete, and context that keeps the type."""

import importlib
import pkgutil
import re

import pytest

import striate
from striate.core import errors
from striate.core.errors import MissingExtra, NetworkError, StriateError, error_context


def test_every_error_of_the_package_is_in_the_tree():
    for module in pkgutil.walk_packages(striate.__path__, "striate."):
        if module.name != "striate.__main__":
            importlib.import_module(module.name)
    raised = {error.__name__ for error in subclasses(StriateError) if error.__module__.startswith("striate.")}
    listed = set(re.findall(r"-- (\w+)", errors.__doc__))
    assert listed == raised


def subclasses(error):
    return {error, *(inner for child in error.__subclasses__() for inner in subclasses(child))} - {StriateError}


class Unusual(StriateError):
    """Its constructor takes something else than its text."""

    def __init__(self, code: int, path: str) -> None:
        super().__init__(f"{path}: {code}")
        self.code = code


@pytest.mark.parametrize("error", [NetworkError("x: 3"), MissingExtra("x: 3"), Unusual(3, "x")], ids=repr)
def test_context_comes_before_the_text_and_keeps_the_error(error):
    with pytest.raises(type(error), match=r"^arm 'a': x: 3$") as raised, error_context("arm 'a'"):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("error", [ValueError("x"), UnicodeDecodeError("utf-8", b"x", 0, 1, "no")], ids=repr)
def test_an_error_of_others_passes_as_it_is(error):
    """Rebuilding one by its type would raise another: UnicodeDecodeError takes five arguments."""
    with pytest.raises(type(error)) as raised, error_context("arm 'a'"):
        raise error
    assert raised.value is error
    assert "arm" not in str(error)
