"""Files of recipients as rows, whatever is in them."""

from io import BytesIO

import pytest

from streams.importing.formats import FileMistake, Format, format_of, rows_of
from streams.importing.lines import BadLine, Row, parse


def read(format_: Format, content: bytes) -> list[Row | BadLine]:
    return list(rows_of(format_, BytesIO(content)))


@pytest.mark.parametrize(
    ("name", "found"),
    [("a.csv", "csv"), ("A.CSV", "csv"), ("a.ndjson", "jsonl"), ("a.b.parquet", "parquet")],
)
def test_the_extension_names_the_format(name: str, found: Format) -> None:
    assert format_of(name) == found


def test_a_quoted_cell_of_several_lines_keeps_the_numbers_of_those_behind_it_right() -> None:
    rows = read("csv", b'user_id,name\r\nann,"Ann\nLee"\r\nbob,Bob\r\n\r\ncat,Cat')

    assert [row.line for row in rows] == [2, 4, 6]


def test_a_byte_order_mark_belongs_to_no_name() -> None:
    assert read("csv", b"\xef\xbb\xbfuser_id\nann\n") == [Row(2, {"user_id": "ann"})]
    assert read("jsonl", b'\xef\xbb\xbf{"user_id": "ann"}\n') == [Row(1, b'{"user_id": "ann"}\n')]


def test_an_empty_cell_says_nothing() -> None:
    assert read("csv", b"user_id,email,sms.enabled\nann,,\n") == [Row(2, {"user_id": "ann"})]


@pytest.mark.parametrize("cell", ["on", "TRUE", "yes", "1"])
def test_a_wish_may_be_written_as_people_write_it(cell: str) -> None:
    (row,) = read("csv", f"user_id,push.enabled\nann,{cell}\n".encode())

    assert isinstance(row, Row)
    assert row.content == {"user_id": "ann", "preferences": {"push": {"enabled": True}}}


def test_bytes_that_are_no_text_spoil_their_own_line_only() -> None:
    rows = read("csv", b"user_id,name\nann,\xff\xfe\nbob,Bob\n")

    parsed = [parse(row, as_of_ms=0) for row in rows if isinstance(row, Row)]
    assert isinstance(parsed[0], list)
    assert parsed[0][0][:2] == (2, "name")
    assert not isinstance(parsed[1], list)


def test_a_quote_that_never_ends_is_a_bad_line() -> None:
    (bad,) = read("csv", b'user_id,name\nann,"Ann\nbob,Bob\n')

    assert bad == BadLine(2, "", "not a line of CSV: unexpected end of data")


def test_what_is_no_parquet_is_refused_as_a_whole() -> None:
    with pytest.raises(FileMistake, match="not a Parquet file"):
        read("parquet", b"user_id\nann\n")


def test_a_problem_never_repeats_what_the_file_says() -> None:
    rows = read("jsonl", b'{"user_id": "s3cret id", "email": "s3cret", "phone": "s3cret"}\n')

    (row,) = rows
    assert isinstance(row, Row)
    problems = parse(row, as_of_ms=0)
    assert isinstance(problems, list)
    assert [bad.field for bad in problems] == ["user_id", "email", "phone"]
    assert not any("s3cret" in str(bad) for bad in problems)
