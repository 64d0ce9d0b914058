"""What is wrong with a dataset before anyone trains on it: `audit` reads a source and returns an `Audit` of records.

NumPy and SciPy only. The images are read as the source has them, in its order and with their names.
"""

from striate.audit.audit import audit
from striate.audit.records import Audit, Copies, Flaw, ImageRef, NearPair, SharedGroup

__all__ = ["Audit", "Copies", "Flaw", "ImageRef", "NearPair", "SharedGroup", "audit"]
