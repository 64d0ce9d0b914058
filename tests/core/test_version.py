"""The version is known without package metadata, and the package has the same."""

import importlib.metadata
import subprocess
import sys

import striate

WITHOUT_METADATA = """
import importlib.metadata

def version(name):
    raise importlib.metadata.PackageNotFoundError(name)

importlib.metadata.version = version
from striate.engines.environment import common_facts
print(common_facts()["striate"])
"""


def test_a_source_tree_that_is_not_installed_knows_its_version():
    done = subprocess.run([sys.executable, "-c", WITHOUT_METADATA], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == striate.__version__


def test_the_package_has_the_version_of_the_code():
    assert importlib.metadata.version("striate") == striate.__version__
