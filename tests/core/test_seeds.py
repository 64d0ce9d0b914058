"""Named streams: decided by seed and purpose, and by nothing else."""

import subprocess
import sys

import numpy as np
import pytest

from striate.core.seeds import integer_seed, stream


def test_seed_and_purpose_decide_and_nothing_else_does():
    np.random.seed(1)
    a = stream(5, "order", 3).random(4)
    np.random.seed(2)
    stream(5, "flip").random(100)
    b = stream(5, "order", 3).random(4)
    assert a.tolist() == b.tolist()


@pytest.mark.parametrize(
    "other", [(6, "order", 3), (5, "order", 4), (5, "orders", 3), (5, "order"), (5, "order", 3, 0)]
)
def test_another_seed_or_purpose_is_another_stream(other):
    assert stream(5, "order", 3).random(4).tolist() != stream(*other).random(4).tolist()


def test_names_do_not_run_together():
    assert stream(0, "ab", "c").random() != stream(0, "a", "bc").random()


def test_another_process_draws_the_same():
    code = "from striate.core.seeds import integer_seed; print(integer_seed(3, 'dropout', 1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == integer_seed(3, "dropout", 1)


def test_a_stream_needs_a_purpose():
    with pytest.raises(ValueError, match="needs a purpose"):
        stream(0)


def test_streams_are_unrelated():
    """No correlation between streams of neighboring seeds and purposes, beyond that of 10,000 fair draws."""
    streams = [stream(seed, purpose).standard_normal(10_000) for seed in range(4) for purpose in ("a", "b", "c")]
    off_diagonal = np.abs(np.corrcoef(streams)[~np.eye(len(streams), dtype=bool)])
    assert off_diagonal.max() < 0.05
