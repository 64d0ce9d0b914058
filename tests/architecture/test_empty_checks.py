"""No test of ours checks nothing, accepts any error or fails on a slow machine; and the finder finds what it is for."""

from pathlib import Path

import pytest

from tests.architecture.empty_checks import empty_checks

ROOT = Path(__file__).parents[2]


def test_no_check_of_ours_is_empty():
    files = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("striate/**/*.py"), *ROOT.glob("benchmarks/*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{line}: {why}" for path in files for line, why in empty_checks(path.read_text())
    ]
    assert len(files) > 50
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        "x == 3",
        "x < 3 < y",
        "np.isclose(x, 3)",
        "array_equal(x, y)",
        "same = np.array_equal\nsame(x, 3)",
        "torch.equal(x, y)",
        "raise ValueError('a', f'{x}')",
        "assert (x == 3, 'message')",
        "with raised:\n    x == 3",
        "with pytest.raises(E): pass",
        "with warns(E), other as name: pass",
        "pytest.raises((E, F), call, 3)",
        "assert elapsed < 1",
        "assert 0 < 1 > time.perf_counter() - started",
        "assert run['seconds'] <= limit",
        "assert not min(took) < 0.5 + x, 'slow'",
    ],
)
def test_a_planted_fault_is_found(planted):
    assert [line for line, _ in empty_checks(planted)] == [len(planted.splitlines())]


@pytest.mark.parametrize(
    "clean",
    [
        "assert x == 3",
        "assert np.isclose(x, 3)",
        "same = np.isclose(x, 3)",
        "with pytest.raises(E, match='x'):\n    a == b",
        "with pytest.raises(E) as caught:\n    pass\nassert caught.value.code == 3",
        "with pytest.raises(KeyboardInterrupt):\n    pass",
        "assert summary.seconds > 0",
        "assert 0 < run['seconds']",
        "assert len(times) <= 3",
        "self.equal(a, b)",
        "raise OSError(errno.ENOSPC, 'No space')",
        "raise ValueError('one sentence' f'{x}')",
        "assert (x == 3)",
    ],
)
def test_a_check_that_checks_is_left_alone(clean):
    assert list(empty_checks(clean)) == []
