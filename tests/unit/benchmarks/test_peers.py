"""What peers in Python decide, and what is told of them."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.peers import page
from benchmarks.peers.campaign import BROKEN, KILLS, METERED, STRUCK
from benchmarks.peers.ledger import Accepted
from benchmarks.peers.people import rows, slices
from benchmarks.peers.workers import work
from benchmarks.peers.workers.work import Local, Recipient
from benchmarks.whole.people import recipient
from benchmarks.whole.results import Result, summary
from sandbox.ledger import Line


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


def test_kills_and_broken_promises_are_summed_over_all_broadcasts() -> None:
    broken = {"kills": [5, 4], BROKEN["L1"].name: [0, 2], BROKEN["L3"].name: [700, 720]}
    figures = {each.name: each for each in (KILLS, *BROKEN.values())}
    theirs = _result("aiokafka", "a loop")
    theirs.figures = {
        name: summary(figures[name], [*map(float, each)]) for name, each in broken.items()
    }
    ours = _result("postrider", "Postrider", kills=5)
    unstruck = _result("celery-solo", "Celery")
    unstruck.loop_ms = [75.0, 73.0]

    first, second, third = page.table([ours, unstruck, theirs]).splitlines()[2:5]

    assert first.endswith("| 5 | none |  |")
    assert second.endswith("|  |  | 74 (73–75) |")
    assert third.endswith("| 9 | L1 2, L3 1,420 |  |")


def test_a_peer_that_was_measured_is_told_with_what_it_leaves_out() -> None:
    text = page.table([_result("aiokafka", "a loop", worker=17)])

    assert "- **plain aiokafka loop, rocksdict**: no changelog" in text
    assert "Celery" not in text


def _result(name: str, title: str, **values: float) -> Result:
    figures = {each.name: each for each in (*METERED, *STRUCK, KILLS)}
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
