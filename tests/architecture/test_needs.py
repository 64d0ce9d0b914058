"""A test that lacks what it needs skips and says why, and fails where it was promised; and no test skips in another way."""

import re
from pathlib import Path

import pytest

from tests import needs

ABSENT = {
    needs.needs_program: "needs the program no_such_thing",
    needs.needs_package: r"needs the package no_such_thing: pip install 'striate\[no_such_thing\]'",
    needs.needs_packaged: "needs the dataset no_such_thing in /usr/share/datasets: apt-get install dataset-no_such_thing",
    needs.needs_shared: "needs the dataset no_such_thing in .*data",
}


@pytest.mark.parametrize("need", ABSENT)
@pytest.mark.parametrize("promised", [None, "", "chromium"])
def test_it_skips_with_its_reason(need, promised, monkeypatch):
    monkeypatch.delenv("STRIATE_TEST_ALL", raising=False)
    if promised is not None:
        monkeypatch.setenv("STRIATE_TEST_ALL", promised)
    with pytest.raises(pytest.skip.Exception, match=f"^{ABSENT[need]}$"):
        need("no_such_thing")


@pytest.mark.parametrize("need", ABSENT)
@pytest.mark.parametrize("promised", ["1", "no_such_thing", "chromium no_such_thing"])
def test_it_fails_where_it_was_promised(need, promised, monkeypatch):
    monkeypatch.setenv("STRIATE_TEST_ALL", promised)
    with pytest.raises(pytest.fail.Exception, match=f"^STRIATE_TEST_ALL={promised}, but this test {ABSENT[need]}$"):
        need("no_such_thing")


def test_what_is_there_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(needs, "SHARED", tmp_path)
    (tmp_path / "scenes").mkdir()
    assert needs.needs_shared("scenes") == tmp_path / "scenes"
    assert needs.needs_program("no_such_thing", "sh").endswith("/sh")
    needs.needs_package("numpy")


# What depends on the system and not on what is installed.
PLATFORM = re.compile(r'skipif\((sys\.platform|not Path\("/dev|not hasattr\(os)')
SKIPS = re.compile(r"importorskip|pytest\.skip\(|mark\.skip")


def skips(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines() if SKIPS.search(line) and not PLATFORM.search(line)]


def test_no_test_skips_in_another_way():
    tests = Path(needs.__file__).parent
    files = [path for path in tests.rglob("*.py") if path not in {Path(needs.__file__), Path(__file__)}]
    assert len(files) > 50
    assert {str(path.relative_to(tests)): skips(path.read_text()) for path in files if skips(path.read_text())} == {}


@pytest.mark.parametrize(
    "planted",
    [
        'pytest.importorskip("wandb")',
        'pytest.skip("no wandb")',
        '@pytest.mark.skipif(shutil.which("script") is None, reason="x")',
        '@pytest.mark.skip(reason="x")',
    ],
)
def test_a_planted_skip_is_found(planted):
    assert skips(planted) == [planted]
