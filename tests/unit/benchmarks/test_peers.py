"""What peers in Python decide, and how the provider's ledger is counted."""

from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition

from benchmarks.peers import page
from benchmarks.peers.campaign import METERED, STRUCK
from benchmarks.peers.doubts import Doubts
from benchmarks.peers.ledger import Accepted, Judgement, judge
from benchmarks.peers.people import rows, slices
from benchmarks.peers.workers import work
from benchmarks.peers.workers.work import Local, Recipient
from benchmarks.whole.people import recipient
from benchmarks.whole.results import Result, summary
from sandbox.ledger import Line
from schemas.kafka import InboundRecord


@pytest.mark.parametrize(
    ("minute", "sent_today", "changes", "reason"),
    [
        (600, 0, {}, ""),
        (600, 0, {"is_email_wanted": False}, "opted_out"),
        (600, 0, {"types": {"promotion": False}}, "opted_out"),
        (600, 3, {}, "daily_limit"),
        (600, 2, {}, ""),
        # The start is inside, the end is not; over midnight, too.
        (1380, 0, {}, "quiet_hours"),
        (0, 0, {}, "quiet_hours"),
        (420, 0, {}, ""),
        (300, 0, {"quiet_from": 300, "quiet_until": 310}, "quiet_hours"),
        (310, 0, {"quiet_from": 300, "quiet_until": 310}, ""),
    ],
)
def test_a_peer_asks_wishes_quiet_hours_and_the_daily_cap(
    minute: int, sent_today: int, changes: dict[str, object], reason: str
) -> None:
    someone = Recipient("ann", "ann@example.com", "en", "UTC", True, {}, 1380, 420, 3)

    asked = msgspec.structs.replace(someone, **changes)

    assert work.refusal(asked, Local(1, minute), sent_today) == reason


def test_a_request_has_one_content_so_languages_go_apart() -> None:
    people = [work.decode_recipient(row) for _, row in rows(8)]

    groups = work.by_language(people)

    assert {language: len(group) for language, group in groups.items()} == {"en": 6, "de": 2}


def test_a_slice_has_at_most_a_thousand_members_of_one_partition() -> None:
    found = list(slices(9_000))

    assert sum(len(users) for _, users in found) == 9_000
    assert max(len(users) for _, users in found) == 1000


def test_what_was_never_accepted_is_lost_unless_it_is_reported_and_what_came_twice_is_told(
    tmp_path: Path,
) -> None:
    _accept(tmp_path, [0, 1, 2])
    _accept(tmp_path, [2, 0])

    verdict = judge(tmp_path, 5, doubts={_address(0), _address(4)})

    assert verdict == Judgement(lost=1, held=1, duplicated=2, doubts=2)
    assert not verdict.is_clean


def test_accepted_recipients_are_counted_on_from_where_the_last_look_ended(tmp_path: Path) -> None:
    _accept(tmp_path, [0, 1])
    accepted = Accepted(tmp_path)
    assert accepted.look() == 2

    _accept(tmp_path, [2])
    with (tmp_path / "ledger-1.jsonl").open("ab") as file:
        file.write(b'{"unanswered":1}\n[3,')  # a note, and a line that is still being written

    assert accepted.look() == 3


def test_the_best_of_a_column_is_bold_whoever_has_it() -> None:
    results = [
        _result("postrider", "Postrider", worker=40, duplicated=0),
        _result("aiokafka", "a loop", worker=17, duplicated=900),
    ]

    ours, theirs = page.table(results).splitlines()[2:4]

    assert "| 40 |" in ours
    assert "| **0** |" in ours
    assert "| **17** |" in theirs
    assert "| 900 |" in theirs


def test_what_is_timed_has_no_best_among_rows_of_another_interpreter_or_commit() -> None:
    ours = _result("postrider", "Postrider", rate=40, duplicated=0)
    theirs = _result("aiokafka", "a loop", rate=30, duplicated=900)
    others = {"machine": {"python": "3.11.7"}}, {"commit": "d"}

    for other in others:
        text = page.table([ours, msgspec.structs.replace(theirs, **other)])

        assert "| 40 |" in text
        assert "| **0** |" in text
    assert "| **40** |" in page.table([ours, theirs])


def test_who_leaves_people_in_doubt_is_not_the_best_at_losing_or_repeating_none() -> None:
    results = [
        _result("postrider", "holds", lost=0, duplicated=0, doubts=900, held=0),
        _result("postrider-resend", "sends again", lost=0, duplicated=800, doubts=0, held=0),
    ]

    holds, sends_again = page.table(results).splitlines()[2:4]

    assert "**" not in holds
    assert "| **0** | **800** | 0 |" in sends_again


async def test_a_delivery_in_doubt_is_either_sent_again_or_left_so() -> None:
    doubts = Doubts(_Topic([("ann", "in_doubt", True), ("bob", "in_doubt", False)]), [_PLACE])
    await doubts.look()

    assert (doubts.left, doubts.resending) == ({"ann"}, {"bob"})

    doubts = Doubts(
        _Topic([("bob", "in_doubt", False), ("bob", "queued", False), ("bob", "sent", False)]),
        [_PLACE],
    )
    await doubts.look()

    assert (doubts.left, doubts.resending) == (set(), set())


class _Topic:
    """Receipts as a consumer hands them out, all at once."""

    def __init__(self, told: list[tuple[str, str, bool]]) -> None:
        self._records = [
            InboundRecord("receipts", 0, offset, 0, None, msgspec.json.encode(
                {"user_id": user_id, "status": status, "is_final": is_final}
            ))
            for offset, (user_id, status, is_final) in enumerate(told)
        ]  # fmt: skip
        self._read = 0

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(self._records) for place in places}

    async def position(self, place: TopicPartition) -> int:
        return self._read

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[InboundRecord]]:
        self._read = len(self._records)
        return {_PLACE: self._records}


_PLACE = TopicPartition("receipts", 0)


def test_a_peer_that_was_measured_is_told_with_what_it_leaves_out() -> None:
    text = page.table([_result("aiokafka", "a loop", worker=17)])

    assert "- **plain aiokafka loop, rocksdict**: no changelog" in text
    assert "Celery" not in text


def _result(name: str, title: str, **values: float) -> Result:
    figures = {each.name: each for each in (*METERED, *STRUCK)}
    return Result(
        scenario=name, measures=title, people=1000, date="2026-11-26 01:00 UTC", commit="c",
        command="", machine={}, costs={}, is_harness_bound=False, curves={}, profiles=[],
        figures={each: summary(figures[each], [value]) for each, value in values.items()},
    )  # fmt: skip


def _accept(folder: Path, numbers: list[int]) -> None:
    addresses = [_address(each) for each in numbers]
    count = len(numbers)
    line = Line(
        1, 0, "sendgrid", 202, "m", 0, 0, [""] * count, [""] * count, addresses, [0] * count
    )
    with (folder / "ledger-1.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def _address(number: int) -> str:
    return recipient(number).email
