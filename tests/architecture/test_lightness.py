"""What is loaded when: reading needs no torch, and `--help` is instant."""

import subprocess
import sys

import pytest

HEAVY = ["torch", "torchvision", "scipy", "sklearn", "pyarrow", "vl_convert"]


def loaded(code: str) -> set[str]:
    """Which heavy packages a fresh process has loaded after `code`."""
    program = f"{code}\nimport sys; print(' '.join(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import striate",
        "import striate.cli.app",
        "import striate.nets.summary.summarize, striate.nets.notation",
        "import striate.recipes",
        "from striate.studies.loaded import load; load('quickstart')",
        "import striate.studies.verdict, striate.studies.statistics",
        "import striate.engines.scratch.learner",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    assert loaded(code) == set()


@pytest.mark.parametrize(
    "code", ["import striate.studies.results", "import striate.report.pages", "import striate.runs.reader"]
)
def test_whoever_only_reads_needs_no_torch(code):
    assert "torch" not in loaded(code)


def test_the_check_can_fail():
    assert loaded("import scipy") == {"scipy"}
