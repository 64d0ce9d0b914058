"""Type checkers know the public names: pyrefly here, and both it and mypy in `make check`."""

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).parents[2]
INTERFACE = ROOT / "tests" / "architecture" / "public_interface.py"

# Each line is wrong, and a checker without the types of striate would accept it.
PLANTED = """\
import striate
from typing import assert_type
assert_type(striate.load("quickstart"), striate.Results)
striate.load(3)
striate.load("quickstart").run(jobs="many")
striate.Results.read("runs").verdict
striate.lod("quickstart")
"""


def test_the_types_of_the_public_names_are_known(tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text(PLANTED)
    command = [
        sys.executable,
        "-m",
        "pyrefly",
        "check",
        INTERFACE,
        planted,
        "--search-path",
        ROOT,
        "--preset",
        "default",
    ]
    options = ["--python-interpreter-path", sys.executable, "--output-format", "min-text", "--color", "never"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    errors = re.findall(r"^ERROR (.*?):(\d+)", done.stdout, re.MULTILINE)
    assert {(Path(path).name, int(line)) for path, line in errors} == {("planted.py", line) for line in range(3, 8)}, (
        done
    )


def test_the_package_says_that_it_has_types():
    assert files("striate").joinpath("py.typed").is_file()
