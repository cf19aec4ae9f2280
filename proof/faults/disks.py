"""A worker's disk: lost, days old, damaged, full. Nobody goes on with a part of what was known."""

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from proof.workers import Slot
from streams.supervisor import EXIT_CONFIG
from streams.worker import EXIT_FAILED
from tables.store import LocalStore, StoreBudget

DAY_SECONDS = 86_400
_DISK_BYTES = 64 << 20
_REBUILT = "rebuilding a store from its changelog"


class _DiskFault(Fault, ABC):
    """One worker after the other loses its life and something of its disk."""

    expects = "restored to the committed end before anything is read or sent; no opt-out forgotten"
    pause_seconds: ClassVar[tuple[float, float]] = 1.0, 3.0

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=35.0)

    async def strike(self, field: Field) -> None:
        # Every other time it is `decide`: it alone keeps for good who opted out.
        for roles in itertools.cycle((("decide",), ())):
            if not await field.wait(*self.pause_seconds):
                return
            slot = await field.victim(roles)
            if slot is not None:
                await replaced(field, slot, lambda stores: self.spoil(field, stores))

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        struck = sum(each.role == "decide" for each in field.blows)
        field.notes.append(f"{struck} of {len(field.blows)} were decide")
        if not struck:
            yield Violation(PROMISE, "nobody who knows the opt-outs has lost them")

    @abstractmethod
    def spoil(self, field: Field, stores: Path) -> None:
        """What becomes of the stores of a worker that was just killed."""


class DiskLost(_DiskFault):
    name = "disk-lost"
    does = "kill -9, and the directory of the stores is gone"

    def spoil(self, field: Field, stores: Path) -> None:
        shutil.rmtree(stores)


class DiskStale(_DiskFault):
    name = "disk-stale"
    does = (
        "kill -9, and the stores are those of earlier; half of them say that it was three days ago"
    )
    pause_seconds = 2.0, 4.0

    async def strike(self, field: Field) -> None:
        kept = _kept(field)
        for slot in field.workers.slots:
            await field.workers.stop(slot)
            shutil.copytree(_stores(field, slot), kept / str(slot), dirs_exist_ok=True)
            field.workers.start(slot)
        await super().strike(field)
        shutil.rmtree(kept)

    def spoil(self, field: Field, stores: Path) -> None:
        shutil.rmtree(stores)
        shutil.copytree(_kept(field) / stores.parent.name, stores)
        for store in stores.iterdir():
            if field.random.random() < 0.5:
                opened = LocalStore(
                    store, StoreBudget(cache_bytes=1 << 20, write_buffer_bytes=4 << 20)
                )
                opened.touch(round((time.time() - 3 * DAY_SECONDS) * 1000))
                opened.close()


class DiskDamaged(_DiskFault):
    name = "disk-damaged"
    does = "kill -9, and bytes of a table, of a manifest or of CURRENT of each store are others"
    exits = (EXIT_FAILED,)

    def spoil(self, field: Field, stores: Path) -> None:
        for store in stores.iterdir():
            path = field.random.choice(_files_that_matter(store))
            content = bytearray(path.read_bytes())
            for _ in range(8):
                content[field.random.randrange(len(content))] ^= 0xFF
            path.write_bytes(content)

    def judge(self, field: Field) -> Iterator[Violation]:
        """A table that is damaged may not be read again before the round is over; the rest is."""
        yield from super().judge(field)
        rebuilt = sum(field.log_of(slot).count(_REBUILT) for slot in field.stage.slots)
        field.notes.append(f"rebuilt {rebuilt} stores")
        if not rebuilt:
            yield Violation(PROMISE, "no worker has noticed that its store was damaged")


class _UselessDisk(Fault, ABC):
    """The disk of `decide` takes nothing for seconds."""

    says: ClassVar[tuple[str, ...]]
    """What one line of its log must have in it for each of its ends, in lower case."""

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=30.0, rate=40.0)

    def why_not(self) -> str:
        return "" if os.geteuid() == 0 else "only root may mount a small file system"

    async def strike(self, field: Field) -> None:
        (slot,) = field.stage.of("decide")
        folder = field.workers.folder_of(slot)
        await field.workers.stop(slot)
        with self.disk(folder):
            field.workers.start(slot)
            await field.workers.until_ready([slot])
            while await field.wait(1.0, 3.0):
                async with self.made_useless(field, slot, folder):
                    await field.wait(3.0, 6.0)
                await field.workers.until_ready([slot])
            await field.workers.stop(slot)
        field.workers.start(slot)

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        (slot,) = field.stage.of("decide")
        ends = sum(who == slot for who, _ in field.exits)
        lines = field.log_of(slot).lower().splitlines()
        told = sum(all(each in line for each in self.says) for line in lines)
        field.notes.append(f"ended {ends} times by it")
        if not ends:
            yield Violation(PROMISE, "the worker never minded")
        elif told < ends:
            yield Violation(PROMISE, f"of {ends} ends {told} have told the cause")

    def disk(self, folder: Path) -> contextlib.AbstractContextManager[None]:
        """A small one, there until the body is over."""
        return _small_disk(folder)

    @abstractmethod
    def made_useless(
        self, field: Field, slot: Slot, folder: Path
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """While the body runs."""


class DiskFull(_UselessDisk):
    name = "disk-full"
    does = "the disk of `decide` is full for seconds"
    expects = "the worker stops with the cause, and goes on once there is room; nothing in doubt"
    exits = (EXIT_FAILED,)
    says = "worker ends", "no space left on device"

    @contextlib.asynccontextmanager
    async def made_useless(self, field: Field, slot: Slot, folder: Path) -> AsyncIterator[None]:
        await field.stage.note_blow(slot.role, "full disk", slot)
        ballast = _filled(folder)
        yield
        ballast.unlink(missing_ok=True)


class DiskReadOnly(_UselessDisk):
    name = "disk-read-only"
    does = "kill -9 of `decide`, whose disk is read-only for seconds then"
    expects = (
        "it refuses to start, says why, and goes on once the disk can be written; nothing in doubt"
    )
    exits = (EXIT_CONFIG,)
    says = "cannot be written", "read-only file system"

    @contextlib.asynccontextmanager
    async def made_useless(self, field: Field, slot: Slot, folder: Path) -> AsyncIterator[None]:
        await field.stage.note_blow(slot.role, "kill", slot)
        await field.workers.kill(slot)
        _remount(folder, "ro")
        field.workers.start(slot)
        yield
        _remount(folder, "rw")


class DiskFails(_UselessDisk):
    name = "disk-fails"
    does = (
        "the kernel lets nobody write to the disk of `decide` any more, as after an error of the "
        "device; then it is checked and there again, without the last seconds"
    )
    expects = "as disk-full"
    exits = (EXIT_FAILED, EXIT_CONFIG)
    says = ("read-only file system",)

    def why_not(self) -> str:
        tools = "mkfs.ext4", "fsck.ext4"
        return super().why_not() or ("" if all(map(shutil.which, tools)) else f"needs {tools}")

    def disk(self, folder: Path) -> contextlib.AbstractContextManager[None]:
        return _ext4(folder)

    @contextlib.asynccontextmanager
    async def made_useless(self, field: Field, slot: Slot, folder: Path) -> AsyncIterator[None]:
        await field.stage.note_blow(slot.role, "failing disk", slot)
        _remount(folder, "abort")
        yield
        await field.stage.note_blow(slot.role, "kill", slot)
        await field.workers.kill(slot)
        await asyncio.to_thread(_mend, folder)
        field.workers.start(slot)


async def replaced(field: Field, slot: Slot, spoil: Callable[[Path], None]) -> None:
    """The worker is killed, its stores are spoilt, and it is started again."""
    await field.stage.note_blow(slot.role, "kill", slot)
    await field.workers.kill(slot)
    await asyncio.to_thread(spoil, _stores(field, slot))
    field.workers.start(slot)


def _files_that_matter(store: Path) -> Sequence[Path]:
    """Those that rows are read from; the others are written only, such as its log of events."""
    found = (path for name in ("*.sst", "MANIFEST-*", "CURRENT") for path in store.glob(name))
    return sorted(path for path in found if path.stat().st_size)


def _kept(field: Field) -> Path:
    return field.stage.folder / "kept"


def _stores(field: Field, slot: Slot) -> Path:
    return field.workers.folder_of(slot) / "stores"


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def _ext4(folder: Path) -> Iterator[None]:
    image = _image(folder)
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    _mount_ext4(folder)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount_ext4(folder: Path) -> None:
    subprocess.run(["mount", "-o", "loop", str(_image(folder)), str(folder)], check=True)


def _mend(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)
    checked = subprocess.run(
        ["fsck.ext4", "-p", str(_image(folder))], stdout=subprocess.DEVNULL, check=False
    )
    if checked.returncode > 1:  # 1: there was something to mend
        raise RuntimeError(f"the disk of {folder} cannot be mended")
    _mount_ext4(folder)


def _image(folder: Path) -> Path:
    return folder.with_suffix(".ext4")


def _remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def _filled(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65_536)
    return ballast
