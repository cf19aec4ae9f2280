"""Whose fault an exception is: that of what was being done, or of a machine that has run out.

A record is given up for its own faults only: an innocent one would end as failed because a file of
time zones could not be opened just then.
"""

import errno

_RUN_OUT = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
    }
)
_MODEST_BYTES = 4 << 20
"""Who cannot have so much is not asking for too much; and it is enough to be had from the kernel."""


def is_of_the_machine(error: BaseException) -> bool:
    """Whether anything else could have met it, too, at that moment.

    Other `OSError`s are not: a date out of range is one. Neither is a `MemoryError` while there is
    memory: a template may ask for a terabyte.
    """
    match error:
        case OSError():
            return error.errno in _RUN_OUT
        case MemoryError():
            return not _is_memory_left()
        case _:
            return False


def _is_memory_left() -> bool:
    try:
        bytearray(_MODEST_BYTES)
    except MemoryError:
        return False
    return True
