"""Freed memory goes back to the system instead of staying with each thread.

The C library gives up to eight arenas per core to threads, and each keeps what was freed in it. With batches of 6 MB on
eight threads that is more than planning may use, and both together would not fit into a small instance.
https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html
"""

import ctypes

#: M_ARENA_MAX in malloc.h of glibc.
ARENA_MAX = -8
ARENAS = 4


def share_arenas() -> None:
    """Let all threads share a few arenas. To be called before threads start; no effect with another C library."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ARENA_MAX, ARENAS)
