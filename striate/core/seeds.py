"""Independent random streams of one seed, each with a name.

A stream is decided by (seed, purpose) and by nothing else: not by earlier draws, other arms or a global
generator. So two arms with one seed have the same batches, and a layer keeps its initial weights when another is added.

The name is hashed with SHA-256, because Python's `hash` differs between processes.
"""

import hashlib

import numpy as np


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """The generator for one purpose, e.g. `stream(0, "order", epoch)` or `stream(0, "init", "conv1", "weight")`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(_entropy(seed, *purpose))))


def integer_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for a generator that is not NumPy's, such as torch's for dropout."""
    return int(stream(seed, *purpose).integers(2**63))


def _entropy(seed: int, *purpose: str | int) -> list[int]:
    if not purpose:
        raise ValueError("a random stream needs a purpose, such as 'order'")
    # Length-prefixed, so that ("ab", "c") and ("a", "bc") are different streams.
    name = b"".join(f"{len(str(part))}:{part}".encode() for part in purpose)
    digest = hashlib.sha256(name).digest()
    return [seed, *(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4))]
