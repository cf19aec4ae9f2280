"""`Evidence`: the folder by which `proof/checker` judges broadcasts to everybody, whoever sends them."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from benchmarks.peers.site import Site, name_of
from benchmarks.whole.lab import CONFIG
from benchmarks.whole.people import AS_OF_MS, recipient, user_id
from proof.checker import ledgers
from proof.checker.evidence import (
    Asked,
    Blow,
    Broadcast,
    Change,
    Circumstances,
    Data,
    Known,
    Preferences,
    Promise,
    Said,
    Wish,
)
from proof.checker.folder import judge_folder
from proof.checker.instants import text_of
from proof.checker.invariants.equations import LEFT_IN_DOUBT, SENT_AGAIN, UNSENT
from proof.checker.rules import read_rules
from proof.checker.verdict import Verdict
from schemas import topics

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the checker found."""

    lost: int
    """Promises that came to no end: L1."""
    held: int
    """Reported to be left in doubt, and never accepted."""
    duplicated: int
    """Acceptances beyond the first of a recipient."""
    doubts: int
    """Reported to be left in doubt, accepted or not."""
    broken: Mapping[str, int]
    """Violations by invariant."""

    @property
    def is_clean(self) -> bool:
        return not (self.broken or self.duplicated or self.doubts)


class Evidence:
    """Of a site that people were told of and nothing was asked of yet."""

    def __init__(self, site: Site, people: int) -> None:
        self._site = site
        self._folder = site.evidence
        self._everybody = [user_id(number) for number in range(people)]
        self._circumstances = Circumstances(ended_ms=0, has_receipts=site.has_receipts)
        self.asked = 0
        """Broadcasts so far."""
        self._folder.mkdir(parents=True)
        (self._folder / ledgers.LEDGER).symlink_to(site.sandbox.ledger_dir.resolve())
        rules = read_rules(CONFIG, {"BENCH_IN_DOUBT": site.in_doubt})
        (self._folder / ledgers.RULES).write_bytes(_encode(rules))
        with ExitStack() as stack:
            shards = [
                stack.enter_context((self._folder / ledgers.changes_of(each)).open("wb"))
                for each in range(ledgers.SHARDS)
            ]
            for place, said in enumerate(_introductions(people)):
                change = Change(AS_OF_MS, topics.RECIPIENTS_CHANGED, 0, place, said)
                shards[ledgers.shard_of(said.user_id)].write(_encode(change) + b"\n")
        self._append(Known(_now_ms()))

    async def ask(self) -> float:
        """For a broadcast, to everybody; the instant before, on the monotonic clock."""
        number = self.asked
        self.asked += 1
        began = await self._site.request(number)
        at_ms = _now_ms() - round((time.monotonic() - began) * 1000)
        said = Asked(
            "promotion", user_ids=tuple(self._everybody), channels=["email"], data=Data(str(number)),
            idempotency_key=name_of(number), contents=dict(self._site.contents),
        )  # fmt: skip
        self._append(Broadcast(number, at_ms, topics.BROADCASTS_REQUESTED, 0, number, said))
        return began

    def note_kill(self) -> None:
        """To be called right before it."""
        self._circumstances.blows += [Blow(_now_ms(), each, "kill") for each in self._site.roles]

    async def judge(self) -> Judgement:
        """Of all that was asked for, which has come to rest."""
        self._circumstances.ended_ms = _now_ms()
        (self._folder / ledgers.CIRCUMSTANCES).write_bytes(_encode(self._circumstances))
        # One process: the harness has one core.
        return judgement(await asyncio.to_thread(judge_folder, self._folder, processes=1))

    def _append(self, promise: Promise) -> None:
        with (self._folder / ledgers.file_of(promise)).open("ab") as file:
            file.write(_encode(promise) + b"\n")


def judgement(verdict: Verdict) -> Judgement:
    counts, broken = verdict.tally.counts, verdict.broken()
    return Judgement(
        lost=broken["L1"], held=counts[UNSENT], duplicated=counts[SENT_AGAIN],
        doubts=counts[LEFT_IN_DOUBT], broken=broken,
    )  # fmt: skip


def _introductions(people: int) -> Iterator[Said]:
    """What the row of each says."""
    at = text_of(AS_OF_MS)
    for number in range(people):
        known = recipient(number)
        (wish,) = known.wishes
        yield Said(
            "recipient_updated", known.user_id, at, "import",
            email=known.email, timezone=known.timezone, locale=known.locale,
        )  # fmt: skip
        wished = Wish(wish.enabled, wish.quiet_hours, wish.daily_limit)
        wishes = Preferences(email=wished, types=known.types)
        yield Said("preferences_updated", known.user_id, at, "import", preferences=wishes)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
