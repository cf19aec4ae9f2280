"""Name servers that do not answer, or are not there, while a worker starts."""

import contextlib
import itertools
import json
import os
import socket
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from proof.checker.verdict import Violation
from proof.faults import own_etc
from proof.faults.base import PROMISE, Fault, Field
from proof.faults.storms import PROVIDERS
from proof.load.plan import LoadPlan
from streams.topology import ROLES

_PROVIDERS, _KAFKA = "providers.example", "kafka.example"
_HERE = "127.0.0.1"
_SILENT, _ABSENT = "127.53.0.1", "127.53.0.2"
"""Name servers: one never answers, where the other should be nobody listens."""
_NAME_SERVER_PORT = 53
_BLOWS = (
    ({_PROVIDERS}, _ABSENT), ({_KAFKA}, _ABSENT), ({_PROVIDERS}, _SILENT), ({_KAFKA}, _SILENT),
    ({_PROVIDERS, _KAFKA}, _ABSENT), ({_PROVIDERS, _KAFKA}, _SILENT),
)  # fmt: skip
"""What nobody has an address of, and which name server is asked for it. One that is silent keeps a
worker waiting; only where there is none is a name missed at once."""


class NoNames(Fault):
    name = "no-names"
    does = (
        "a worker starts while providers, or Kafka, have no address: name servers are silent or gone "
        "for seconds; half of them are stopped meanwhile"
    )
    expects = (
        "it waits for Kafka, tries again what cannot be sent, stops in order; nothing in doubt"
    )
    least_blows = 4

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=80.0)

    def why_not(self) -> str:
        return "" if os.geteuid() == 0 else own_etc.ONLY_ROOT

    async def strike(self, field: Field) -> None:
        if not _etc(field).exists():
            await _go_by_names(field)
        with _silence():
            for missing, server in itertools.cycle(_BLOWS):
                if not await field.wait(0.5, 2.0):
                    return
                slot = await field.victim(list(PROVIDERS if _PROVIDERS in missing else ROLES))
                if slot is None:
                    continue
                began_ms = (await field.stage.note_blow(slot.role, "names", slot)).at_ms
                await field.workers.stop(slot)
                _know(_etc(field), without=missing, server=server)
                field.workers.start(slot)
                await field.wait(5.0, 8.0)
                if field.random.random() < 0.5:
                    await field.workers.stop(slot)
                    field.workers.start(slot)
                _know(_etc(field))
                await field.workers.until_ready([slot])
                if slot.role in PROVIDERS:  # which it could not reach
                    field.stage.note_storm(slot.role, began_ms, ("refuse",))

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        unsent = field.seen.deferred("unreachable")
        waited = sum(field.log_of(slot).count("waiting for Kafka") for slot in field.stage.slots)
        field.notes.append(f"{unsent} attempts put off by it, waited for Kafka {waited} times")
        if not unsent:
            yield Violation(PROMISE, "no provider was missed")
        if not waited:
            yield Violation(PROMISE, "nobody has waited for Kafka")


async def _go_by_names(field: Field) -> None:
    """All workers, for all rounds of this stage."""
    etc = _etc(field)
    etc.mkdir()
    _know(etc)
    announcement = field.stage.config.announcement
    told = json.loads(announcement.read_text())
    for provider in PROVIDERS.values():
        told[provider]["base_url"] = told[provider]["base_url"].replace(_HERE, _PROVIDERS)
    announcement.write_text(json.dumps(told))
    for role in ROLES:
        field.workers.prepare(role, partial(go_by, etc))
    for slot in field.stage.slots:
        await field.workers.stop(slot)
        field.workers.start(slot)
    await field.workers.until_ready(field.stage.slots)


def go_by(etc: Path) -> None:
    """In the process of a worker, before it begins."""
    own_etc.see(etc)
    os.environ["KAFKA_BOOTSTRAP"] = os.environ["KAFKA_BOOTSTRAP"].replace(_HERE, _KAFKA)


def _know(etc: Path, *, without: Collection[str] = (), server: str = _ABSENT) -> None:
    known = sorted({_PROVIDERS, _KAFKA}.difference(without))
    (etc / "resolv.conf").write_text(f"nameserver {server}\n")
    (etc / "hosts").write_text("".join(f"{_HERE} {name}\n" for name in ("localhost", *known)))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind((_SILENT, _NAME_SERVER_PORT))
        yield


def _etc(field: Field) -> Path:
    return field.stage.folder / "etc"
