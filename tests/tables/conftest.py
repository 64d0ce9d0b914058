"""Tables as people have them."""

import random

import pytest


@pytest.fixture
def numbers():
    """(arm, seed) to an accuracy as a share: b is 1.2 points better than a, c is like a; seeds 0 to 7."""
    generator = random.Random(0)
    values = {}
    for seed in range(8):
        common = generator.gauss(0.9, 0.004)
        for arm, effect in (("a", 0), ("b", 0.012), ("c", 0)):
            values[arm, seed] = round(common + effect + generator.gauss(0, 0.001), 4)
    return values


@pytest.fixture
def table(tmp_path, numbers):
    """A file of `numbers`: arm,seed,test_acc."""
    path = tmp_path / "results.csv"
    path.write_text(
        "arm,seed,test_acc\n" + "".join(f"{arm},{seed},{value}\n" for (arm, seed), value in numbers.items())
    )
    return path


@pytest.fixture
def write(tmp_path):
    """Write a file and give its path."""

    def file(content, name="results.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return file
