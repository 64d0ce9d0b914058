"""How a worker's process keeps its memory."""

import ctypes
import sys


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for the rest of this process.

    Each step asks for the same large arrays again, and getting zeroed pages from the kernel each time cost 9 %
    of a step (network D1, torch, two cores).
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
