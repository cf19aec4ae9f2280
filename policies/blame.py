"""Whose fault an exception is: that of what was being done, or of a machine that lacks something.

A record is given up for its own faults only: an innocent one would end as failed because a file of
time zones could not be opened just then.
"""

import errno
import gc

RUN_OUT = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC, errno.EDQUOT}
)
"""Of files, memory or room: it may be there again by itself."""
_BROKEN = frozenset({errno.EIO, errno.EROFS})
_MODEST_BYTES = 4 << 20
"""Who cannot have so much is not asking for too much; and it is enough to be had from the kernel."""


def is_of_the_machine(error: BaseException) -> bool:
    """Whether any other record could have met it just then.

    Not every `OSError` is: a date out of range is one. Neither is a `MemoryError` while there is
    memory: a template may ask for a terabyte. It loses its traceback here, which holds what was
    built until then.
    """
    match error:
        case OSError():
            return error.errno in RUN_OUT or error.errno in _BROKEN
        case MemoryError():
            error.__traceback__ = error.__context__ = None
            gc.collect()
            return not _is_memory_left()
        case _:
            return False


def _is_memory_left() -> bool:
    try:
        bytearray(_MODEST_BYTES)
    except MemoryError:
        return False
    return True
