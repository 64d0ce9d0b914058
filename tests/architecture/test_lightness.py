"""What is loaded when: reading needs no torch, and `--help` is instant."""

import subprocess
import sys

HEAVY = ["torch", "torchvision", "scipy", "sklearn", "pyarrow", "vl_convert"]
LIGHT = [
    "import striate",
    "import striate.cli.app",
    "import striate.nets, striate.nets.notation, striate.nets.zoo, striate.nets.init",
    "import striate.recipes",
    "from striate.studies.loaded import load; load('quickstart')",
    "import striate.verdicts",
    "import striate.engines.scratch.learner",
]
READERS = ["import striate.studies.results", "import striate.report.pages", "import striate.runs.reader"]


def loaded(*statements: str) -> dict[str, set[str]]:
    """For each statement that loaded heavy packages: which. They run one after another in a fresh process."""
    program = f"""
import sys
before = set()
for statement in {statements}:
    exec(statement)
    print(' '.join({{name for name in {HEAVY} if name in sys.modules}} - before))
    before |= sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    new = [set(line.split()) for line in done.stdout.splitlines()]
    return {statement: packages for statement, packages in zip(statements, new, strict=True) if packages}


def test_nothing_heavy_is_loaded_before_it_is_needed():
    assert loaded(*LIGHT) == {}


def test_readers_need_no_torch():
    assert [statement for statement, packages in loaded(*READERS).items() if "torch" in packages] == []


def test_the_check_can_fail():
    assert loaded("import json", "import scipy", "import scipy.stats") == {"import scipy": {"scipy"}}
