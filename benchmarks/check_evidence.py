"""How long the checker takes for millions of entries, five times clean and five with violations in them.

Run: python -m benchmarks.check_evidence [DELIVERIES]. Each has an acceptance and two receipts; three
quarters are of single requests, which are entries too, the others of broadcasts that went out in
batches. Of single requests, each hundredth was refused first, with a 429, and is told to be deferred.
1,328,000 deliveries, its own number, are 5 million entries. A twentieth of the users keep quiet hours.
Writes `results/evidence.json`; of any other number into `.state/quick/results`.
"""

import datetime
import random
import resource
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from benchmarks.whole.machine import command, commit, loop_ms, machine
from proof.checker import ledgers
from proof.checker.contents import hash_of
from proof.checker.evidence import (
    Asked,
    Broadcast,
    Change,
    Circumstances,
    Data,
    Known,
    Preferences,
    Request,
    Said,
    Wish,
)
from proof.checker.folder import judge_folder
from proof.checker.instants import text_of
from proof.checker.rules import Category, Kind, Rules
from sandbox.ledger import Line, Refused

BEGAN_MS = 1_767_225_600_000
DELIVERIES_A_USER = 6
REFUSED_EACH = 100
AGAIN_MS = 1500
"""Said by a `Retry-After`."""
BATCH = 1000
REPEATS = 5
FIVE_MILLION_ENTRIES = 1_328_000
"""In deliveries."""
BOUND_SECONDS = 10.0
"""For them."""
FOLDER = Path(__file__).parent
RULES = Rules(
    kinds={
        "code": Kind("code", Category("security", mandatory=True, in_doubt="resend"), ("sms",)),
        "order": Kind("order", Category("transactional", quiet_hours=True), ("email",)),
        "news": Kind("news", Category("social"), ("email",)),
    },
    per_user={"sms": (60, 3_600_000)},
    channel_of={"twilio": "sms", "sendgrid": "email"},
)
_encode = msgspec.json.encode


class Synthetic:
    """A day of an installation that does what it promised, but for some receipts that are missing."""

    def __init__(self, folder: Path, *, deliveries: int, violations: int) -> None:
        self._folder = folder
        self._singles = deliveries * 3 // 4
        self._from_broadcasts = deliveries - self._singles
        self._users = deliveries // DELIVERIES_A_USER
        self._random = random.Random(1)
        self._spoilt = set(self._random.sample(range(self._singles), violations))
        self._sequence = 0
        self._files: dict[str, IO[bytes]] = {}

    def write(self) -> None:
        (self._folder / ledgers.RULES).write_bytes(_encode(RULES))
        ended = Circumstances(ended_ms=BEGAN_MS + 86_400_000)
        (self._folder / ledgers.CIRCUMSTANCES).write_bytes(_encode(ended))
        (self._folder / ledgers.LEDGER).mkdir()
        for number in range(self._users):
            for said in _introduction(number):
                change = Change(BEGAN_MS - 60_000, "recipients.changed", 0, number, said)
                self._append(ledgers.file_of(change), change)
        self._append(ledgers.PROMISES, Known(BEGAN_MS - 1000))
        for number in range(self._singles):
            self._ask(number)
        for number in range(-(-self._from_broadcasts // self._users)):
            self._announce(number)
        for file in self._files.values():
            file.close()

    def _ask(self, number: int) -> None:
        person = number % self._users
        kind = "code" if number % 4 == 0 else "order"
        said = Asked(kind, _user(person), data=Data(str(number)), idempotency_key=f"key-{number}")
        at_ms = BEGAN_MS + number * 60_000_000 // self._singles
        request = Request(number, at_ms, "notifications.requested", 0, number, said)
        self._append(ledgers.file_of(request), request)
        is_refused = number % REFUSED_EACH == 0
        told = self._receipts(
            number, kind, person, at_ms, is_spoilt=number in self._spoilt, is_refused=is_refused
        )
        accepted_ms = at_ms + 60
        if is_refused:
            self._refuse(told[0], kind, person, accepted_ms)
            accepted_ms += AGAIN_MS
        self._accept([(number, *told)], kind, [person], accepted_ms)

    def _announce(self, number: int) -> None:
        at_ms = BEGAN_MS + 61_000_000 + number
        intent = self._singles + number
        left = self._from_broadcasts - number * self._users
        members = range(min(self._users, left))
        named = tuple(_user(each) for each in members)
        said = Asked("news", user_ids=named, data=Data(str(intent)), idempotency_key=f"b-{number}")
        place = ("broadcasts.requested", 0, number)
        self._append(ledgers.PROMISES, Broadcast(intent, at_ms, *place, said))
        for start in range(0, len(members), BATCH):
            some = members[start : start + BATCH]
            told = [(intent, *self._receipts(intent, "news", each, at_ms)) for each in some]
            self._accept(told, "news", list(some), at_ms + 60)

    def _receipts(
        self, intent: int, kind: str, person: int, at_ms: int, *,
        is_spoilt: bool = False, is_refused: bool = False,
    ) -> tuple[str, str]:  # fmt: skip
        """As the topic has them; delivery and notification id."""
        bits = self._random.getrandbits
        delivery_id, notification_id = (str(uuid.UUID(int=bits(128))) for _ in range(2))
        channel = RULES.kinds[kind].channels[0]
        common = {
            "schema_version": "1.0", "notification_id": notification_id,
            "delivery_id": delivery_id, "user_id": _user(person), "channel": channel,
            "type": kind, "category": RULES.kinds[kind].category.name,
        }  # fmt: skip
        facts: dict[int, dict[str, Any]] = {20: {"status": "queued", "state_rank": 1}}
        if is_refused:
            facts[90] = {"status": "deferred", "reason": "throttled", "state_rank": 1, "attempt": 1}
        if not is_spoilt:
            sent = {"status": "sent", "state_rank": 5, "attempt": 1, "provider": "p"}
            facts[90 + AGAIN_MS * is_refused] = sent
        for place, (wait_ms, fact) in enumerate(facts.items()):
            at = text_of(at_ms + wait_ms)
            times = {"occurred_at": at, "recorded_at": at, "metadata": {"intent": intent}}
            receipt = {"receipt_id": f"{place}{delivery_id}"} | common | fact | times
            self._append(ledgers.receipts_of(ledgers.shard_of(_user(person))), receipt)
        return delivery_id, notification_id

    def _refuse(self, delivery_id: str, kind: str, person: int, at_ms: int) -> None:
        channel = RULES.kinds[kind].channels[0]
        refused = Refused(
            at_ms, _provider(channel), 429, at_ms + AGAIN_MS, 0, 1, [delivery_id],
            [_address(channel, person)],
        )  # fmt: skip
        self._append(f"{ledgers.LEDGER}/refused-ledger-0.jsonl", refused)

    def _accept(
        self, told: list[tuple[int, str, str]], kind: str, people: list[int], at_ms: int
    ) -> None:
        channel = RULES.kinds[kind].channels[0]
        self._sequence += 1
        line = Line(
            self._sequence, at_ms, _provider(channel), 202, f"m-{self._sequence}", 0, 1,
            [delivery_id for _, delivery_id, _ in told],
            [notification_id for *_, notification_id in told],
            [_address(channel, each) for each in people],
            [hash_of(channel, str(intent)) for intent, *_ in told],
        )  # fmt: skip
        self._append(f"{ledgers.LEDGER}/ledger-0.jsonl", line)

    def _append(self, name: str, what: object) -> None:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = (self._folder / name).open("wb", buffering=1 << 20)
        file.write(_encode(what) + b"\n")


def _introduction(number: int) -> Iterator[Said]:
    user, at = _user(number), text_of(BEGAN_MS - 60_000)
    yield Said("recipient_updated", user, at, email=_mailbox(number), phone=_phone(number))
    if number % 20 == 0:
        wishes = Preferences(email=Wish(quiet_hours="20:00-21:00"))
        yield Said("preferences_updated", user, at, "user", preferences=wishes)


def _user(number: int) -> str:
    return f"user-{number}"


def _provider(channel: str) -> str:
    return "twilio" if channel == "sms" else "sendgrid"


def _address(channel: str, number: int) -> str:
    return _phone(number) if channel == "sms" else _mailbox(number)


def _mailbox(number: int) -> str:
    return f"u{number}@example.org"


def _phone(number: int) -> str:
    return f"+1415{number:07}"


class Judged(NamedTuple):
    seconds: float
    cpu_seconds: float
    loop_ms: float


def main() -> None:
    deliveries = int(sys.argv[1]) if len(sys.argv) > 1 else FIVE_MILLION_ENTRIES
    keep(deliveries, clean=judge(deliveries, 0), spoilt=judge(deliveries, 1000))


def judge(deliveries: int, violations: int) -> list[Judged]:
    folder = Path(tempfile.mkdtemp())
    try:
        Synthetic(folder, deliveries=deliveries, violations=violations).write()
        return [_judge_once(folder, deliveries, violations) for _ in range(REPEATS)]
    finally:
        shutil.rmtree(folder)


def _judge_once(folder: Path, deliveries: int, violations: int) -> Judged:
    pace_ms = loop_ms()
    began, cpu = time.perf_counter(), _cpu_seconds()
    verdict = judge_folder(folder)
    judged = Judged(time.perf_counter() - began, _cpu_seconds() - cpu, pace_ms)
    print(
        f"{_entries(deliveries):,} entries, {violations} planted: {judged.seconds:.1f} s, "
        f"{judged.cpu_seconds:.1f} s of CPU, found {dict(verdict.broken())}, loop {pace_ms:.0f} ms",
        flush=True,
    )
    return judged


def keep(deliveries: int, *, clean: Sequence[Judged], spoilt: Sequence[Judged]) -> None:
    # Not above: the checker's processes import this file, too, and it would be a second of theirs.
    from benchmarks.whole.results import Result, summary, write_result
    from benchmarks.whole.scenario import Figure

    is_whole = deliveries == FIVE_MILLION_ENTRIES
    floor = BOUND_SECONDS if is_whole else None
    figures: dict[Figure, list[float]] = {
        Figure(name="entries", measures="judged", unit="entries", better="higher"):
            [_entries(deliveries)],
        Figure(name="clean", measures="clean", unit="s", better="lower", floor=floor):
            [each.seconds for each in clean],
        Figure(name="spoilt", measures="a thousand violations", unit="s", better="lower", floor=floor):
            [each.seconds for each in spoilt],
        Figure(name="cpu", measures="clean", unit="CPU s", better="lower"):
            [each.cpu_seconds for each in clean],
    }  # fmt: skip
    result = Result(
        scenario="evidence", measures="the checker judges a folder of evidence, on all cores",
        people=deliveries // DELIVERIES_A_USER,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=commit(), command=command("benchmarks.check_evidence", sys.argv[1:]),
        machine=machine(), costs={}, is_harness_bound=False, curves={}, profiles=[],
        figures={each.name: summary(each, values) for each, values in figures.items()},
        loop_ms=[each.loop_ms for each in (*clean, *spoilt)],
    )  # fmt: skip
    write_result((FOLDER if is_whole else FOLDER / ".state" / "quick") / "results", result)


def _entries(deliveries: int) -> int:
    singles = deliveries * 3 // 4
    return deliveries * 3 + singles + 2 * len(range(0, singles, REFUSED_EACH))


def _cpu_seconds() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        for usage in [resource.getrusage(who)]
    )


if __name__ == "__main__":
    main()
