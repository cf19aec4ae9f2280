"""Child processes that never outlive us: Linux ends them when the thread that started them dies."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parting_signal: signal.Signals = signal.SIGKILL) -> None:
    """To be called by a child, as soon as it is one."""
    _libc.prctl(_PR_SET_PDEATHSIG, parting_signal)


def spawn(
    command: Sequence[str],
    *,
    output: int | IO[Any] | None = None,
    environment: Mapping[str, str] | None = None,
    own_session: bool = True,
    parting_signal: signal.Signals = signal.SIGKILL,
) -> "subprocess.Popen[bytes]":
    """Start a child; call from the main thread, whose death is the one that counts.

    In a session of its own a child hears no Ctrl-C: whoever started it stops it, in order.
    """

    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env={**os.environ, **(environment or {})},
        start_new_session=own_session,
        preexec_fn=lambda: die_with_parent(parting_signal),
    )
