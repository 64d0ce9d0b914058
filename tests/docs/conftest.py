"""The modules that make the generated pages are importable as they are for `python docs/answers.py`."""

import sys
from pathlib import Path

DOCS = str(Path(__file__).parents[2] / "docs")
if DOCS not in sys.path:
    sys.path.append(DOCS)
