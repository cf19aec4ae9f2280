"""A worker that sees other files in /etc than everybody else does."""

import ctypes
import os
from pathlib import Path

_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)

ONLY_ROOT = "only root may give a process an /etc of its own"


def see(etc: Path) -> None:
    """In its process, before it begins: each file in this folder takes the place of one in /etc. They
    are to be written in place: whoever sees them holds on to them, not to their names."""
    _must(_libc.unshare(_CLONE_NEWNS))
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    for file in etc.iterdir():
        _mount(str(file), f"/etc/{file.name}", _MS_BIND)


def _mount(what: str, where: str, how: int) -> None:
    _must(_libc.mount(what.encode(), where.encode(), None, how, None))


def _must(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
