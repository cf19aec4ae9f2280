"""Prepared installations, kept between runs: people whose import waits (plain ones or not), and
people known."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from benchmarks.whole.lab import PARTITIONS, opened
from benchmarks.whole.people import import_records, plain_recipient, recipient
from benchmarks.whole.worker import until_merged
from schemas.recipient_events import ImportedRecipient

_FRESH_SECONDS = 8 * 3600
"""A worker destroys a copy of its stores that is older than half a day, and restores: a benchmark of
something else would measure that."""

State = Literal["unread", "unread-plain", "known"]


class Prepared:
    """Under `folder`, a subfolder a number of people. Made once: it costs about a minute a million."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def fresh(self, state: State, people: int) -> Path:
        """A copy, to be spoilt by one run; the one before it is gone."""
        target = self._folder / "run"
        shutil.rmtree(target, ignore_errors=True)
        _copy(await self._kept(state, people), target)
        return target

    async def _kept(self, state: State, people: int) -> Path:
        kept = self._folder / f"people-{people}" / state
        if not _is_fresh(kept / "complete"):
            shutil.rmtree(kept, ignore_errors=True)
            if state == "unread":
                await _write_import(kept, people, recipient)
            elif state == "unread-plain":
                await _write_import(kept, people, plain_recipient)
            else:
                _copy(await self._kept("unread", people), kept)
                (kept / "complete").unlink()
                await _apply_import(kept)
            (kept / "complete").touch()
        return kept


def _is_fresh(complete: Path) -> bool:
    return complete.exists() and time.time() - complete.stat().st_mtime < _FRESH_SECONDS


async def _write_import(folder: Path, people: int, who: Callable[[int], ImportedRecipient]) -> None:
    print(f"preparing {people:,} people", flush=True)
    async with opened(folder) as lab, lab.producing() as producing:
        for record in import_records(people, partitions=PARTITIONS, who=who):
            await producing.send(record)
        await producing.flush()


async def _apply_import(folder: Path) -> None:
    began = time.monotonic()
    async with opened(folder) as lab:
        decide = lab.start("decide")
        await decide.ready()
        await lab.until_idle(decide)
        decide.stop()
        # What an end leaves to be merged, a second of CPU a million people, would be done in the first
        # seconds of whatever is measured, and pass for a part of it.
        decide = lab.start("decide")
        await decide.ready()
        await until_merged(decide)
        decide.stop()
    print(f"prepared, in {time.monotonic() - began:.0f} s", flush=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-r", "--reflink=auto", str(source), str(target)], check=True)
