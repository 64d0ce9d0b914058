"""Pages built once for many questions."""

from pathlib import Path

import pytest

from striate.report.pages import build
from striate.studies.results import Results
from tests.report import folders


@pytest.fixture(scope="session")
def two(tmp_path_factory) -> Results:
    return Results.read(folders.two_arms(tmp_path_factory.mktemp("studies") / "two"))


@pytest.fixture(scope="session")
def troubled(tmp_path_factory) -> Results:
    return Results.read(folders.troubled(tmp_path_factory.mktemp("studies") / "troubled"))


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Results:
    return Results.read(folders.many(tmp_path_factory.mktemp("studies") / "many"))


@pytest.fixture(scope="session")
def two_page(two) -> str:
    return build(two)


@pytest.fixture(scope="session")
def troubled_page(troubled) -> str:
    return build(troubled)


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory) -> Path:
    """For tests that write."""
    return folders.two_arms(tmp_path_factory.mktemp("studies") / "written")
