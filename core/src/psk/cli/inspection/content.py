"""How is a file read that may be larger than memory, a pipe, or no file at all?"""

from __future__ import annotations

import os
import stat
import sys
from mmap import ACCESS_READ, mmap

from psk.errors import UsageError

MOST_PIPED = 1 << 30
"""What comes through a pipe must be held in memory; files are mapped."""


def read_content(path: str) -> memoryview:
    """Return what is in a file, or what `-` (standard input) gives.

    Raises:
        OSError: The file cannot be opened or read.
        UsageError: It is neither a file nor a pipe, or gives too much.
    """
    if path == "-":
        return _pour(sys.stdin.fileno(), "standard input")
    # A FIFO without a writer must not make us wait for one.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            return memoryview(mmap(descriptor, 0, access=ACCESS_READ) if found.st_size else b"")
    finally:
        os.close(descriptor)
    raise UsageError(f"{path} is not a file", remedy="give a file, or - and pipe the bytes in")


def _pour(descriptor: int, name: str) -> memoryview:
    content = bytearray()
    while chunk := os.read(descriptor, 1 << 20):
        content += chunk
        if len(content) > MOST_PIPED:
            raise UsageError(f"{name} gives more than {MOST_PIPED:,} bytes", remedy="write them to a file first")
    return memoryview(content)
