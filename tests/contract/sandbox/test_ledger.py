"""The ledger: what is in it, and when."""

from pathlib import Path

import pytest

from sandbox.ledger import Entry, LedgerWriter, Line, Refused, read_ledger


def line(sequence: int, *addresses: str) -> Line:
    ids = [f"d-{address}" for address in addresses]
    return Line(
        sequence, 1000, "fcm", 200, "m-1", 0, 1, ids, ["n"] * len(ids), list(addresses), [7] * len(ids)
    )  # fmt: skip


@pytest.fixture
def writer(tmp_path: Path) -> LedgerWriter:
    return LedgerWriter(tmp_path, 1000)


def test_an_entry_can_be_read_as_soon_as_it_is_appended(writer: LedgerWriter) -> None:
    writer.append(line(writer.next_sequence(), "a", "b"))

    assert list(read_ledger(writer.path)) == [
        Entry(1000, "fcm", 200, "m-1", 0, 1, "d-a", "n", "a", 7, True),
        Entry(1000, "fcm", 200, "m-1", 0, 1, "d-b", "n", "b", 7, True),
    ]
    writer.close()


def test_an_unanswered_line_marks_all_messages_of_its_request(writer: LedgerWriter) -> None:
    writer.append(line(writer.next_sequence(), "a", "b"))
    writer.append(line(writer.next_sequence(), "c"))
    writer.unanswered(1)

    assert [(e.address, e.is_answered) for e in read_ledger(writer.path)] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]
    writer.close()


def test_a_line_that_is_still_being_written_is_left_out(writer: LedgerWriter) -> None:
    writer.append(line(writer.next_sequence(), "a"))
    with writer.path.open("ab") as file:
        file.write(b'[2,1000,"fc')

    assert [entry.address for entry in read_ledger(writer.path)] == ["a"]
    writer.close()


def test_a_directory_is_read_in_order_of_its_starts(tmp_path: Path) -> None:
    for started_ms, address in ((2000, "second"), (1000, "first")):
        writer = LedgerWriter(tmp_path, started_ms)
        writer.append(line(writer.next_sequence(), address))
        if address == "first":
            writer.unanswered(1)
        writer.close()

    entries = list(read_ledger(tmp_path))

    assert [(e.address, e.is_answered) for e in entries] == [("first", False), ("second", True)]


def test_what_was_refused_stands_in_a_file_of_its_own(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path, 1000)
    writer.refuse(Refused(1500, "fcm", 429, 4500, 0, 2, ["d-1"], ["token"]))
    writer.close()

    (file,) = tmp_path.glob("refused-*.jsonl")
    assert file.read_text() == '[1500,"fcm",429,4500,0,2,["d-1"],["token"]]\n'
    assert list(read_ledger(tmp_path)) == []
