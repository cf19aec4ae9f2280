"""`postrider recipients import` of each kind of file."""

import json
from pathlib import Path

import pytest

from schemas.ids import partition_of
from schemas.recipient_events import (
    ImportedDevice,
    ImportedRecipient,
    ImportedWish,
    decode_import,
)
from schemas.topics import RECIPIENTS_IMPORTED
from tests.integration.command_line.conftest import PARTITIONS, Installation

SAMPLES = Path(__file__).parent / "samples"
AS_OF = "2026-03-01T12:00:00Z"
AS_OF_MS = 1_772_366_400_000
ANN = ImportedRecipient(
    "ann", AS_OF_MS, "Ann.Lee@example.com", "+493090182000", "Ann Lee", "pt-BR",
    "America/Sao_Paulo",
    (
        ImportedWish("push", quiet_hours="23:00-07:00"),
        ImportedWish("email", daily_limit=3),
        ImportedWish("sms", enabled=False),
    ),
    {"promotion": False},
    ("followers:7", "city:berlin"),
    (ImportedDevice("ann-phone", "token-of-ann", "ios"),),
)  # fmt: skip
BOB = ImportedRecipient(
    "bob", AS_OF_MS, "bob@example.com", name="Bob, the second",
    wishes=(ImportedWish("sms", enabled=True),),
)  # fmt: skip
GUS = ImportedRecipient("gus", AS_OF_MS)


def imported(postrider: Installation) -> list[ImportedRecipient]:
    """What was written, each checked to be in its user's partition."""
    found = []
    for record in postrider.read(RECIPIENTS_IMPORTED):
        for item in decode_import(record.value or b"").items:
            assert partition_of(item.user_id, PARTITIONS) == record.partition
            found.append(item)
    return sorted(found, key=lambda item: item.user_id)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (
            "recipients.csv",
            [
                "line 4: email: not an e-mail address",
                "line 5: timezone: not an IANA time zone, such as Europe/Berlin",
                "line 5: push.quiet_hours: not quiet hours, such as 23:00-07:00",
                "line 5: sms.enabled: Input should be a valid boolean",
                "line 6: user_id: Field required",
                "line 7: 2 cells, expected 14",
            ],
        ),
        (
            "recipients.jsonl",
            [
                "line 4: email: not an e-mail address",
                "line 5: devices[0].token: String should match pattern '^[!-~]{1,4096}$'",
                "line 6: nickname: Extra inputs are not permitted",
                "line 7: Invalid JSON: expected ident at line 1 column 2",
            ],
        ),
        ("recipients.parquet", ["line 3: email: not an e-mail address"]),
    ],
)
def test_import_brings_in_good_lines_and_tells_bad_ones_by_number_and_field(
    postrider: Installation, file: str, told: list[str]
) -> None:
    ended = postrider("recipients", "import", str(SAMPLES / file), "--as-of", AS_OF)

    assert imported(postrider) == [ANN, BOB, GUS]
    assert ended.code == 1
    assert ended.err.splitlines() == told
    assert ended.out.startswith("3 recipients imported, ")


def test_import_is_the_same_however_often_it_is_run(postrider: Installation) -> None:
    file = str(SAMPLES / "recipients.jsonl")
    postrider("recipients", "import", file)
    first = postrider.read(RECIPIENTS_IMPORTED)

    postrider("recipients", "import", file)

    both = [record.value for record in postrider.read(RECIPIENTS_IMPORTED)]
    assert sorted(both, key=repr) == sorted([r.value for r in first] * 2, key=repr)


def test_import_keeps_bad_lines_for_whoever_mends_them(
    postrider: Installation, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.jsonl"

    postrider(
        "recipients", "import", str(SAMPLES / "recipients.csv"), "--rejects", str(rejects)
    )  # fmt: skip

    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [each["line"] for each in kept] == [4, 5, 6, 7]
    assert kept[0]["content"]["email"] == "not-an-address"
    assert [each["field"] for each in kept[1]["problems"]] == [
        "timezone", "push.quiet_hours", "sms.enabled"
    ]  # fmt: skip


def test_import_of_good_lines_only_succeeds_and_tells_scripts_in_json(
    postrider: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "people"
    file.write_text("user_id\n" + "".join(f"u{i}\n" for i in range(2000)))

    ended = postrider("recipients", "import", str(file), "--format", "csv", "--json")

    assert ended.code == 0
    assert (json.loads(ended.out)["imported"], json.loads(ended.out)["bad"]) == (2000, 0)
    assert len(imported(postrider)) == 2000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("user_id,nick\n", "column 'nick' means nothing here; see --help for those that do"),
        ("user_id,email,email\n", "column email is there twice"),
        ("email\n", "no column user_id; the first line names the columns"),
        ("", "no column user_id; the first line names the columns"),
    ],
)
def test_import_refuses_a_file_that_is_wrong_as_a_whole(
    postrider: Installation, tmp_path: Path, content: str, told: str
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(content)

    ended = postrider("recipients", "import", str(file))

    assert (ended.code, ended.err) == (2, f"postrider: {file}: {told}\n")
    assert imported(postrider) == []


def test_import_tells_mistakes_in_its_options_in_a_line(
    postrider: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "people.txt"

    assert postrider("recipients", "import", str(file)).err == (
        "postrider: people.txt: expected one of .csv, .jsonl, .ndjson, .parquet; or give --format\n"
    )
    absent = postrider("recipients", "import", str(file), "--format", "csv")
    assert absent.err == f"postrider: {file}: cannot be read: No such file or directory\n"
    file.write_text("user_id\nann\n")
    undated = postrider(
        "recipients", "import", str(file), "--format", "csv", "--as-of", "yesterday"
    )  # fmt: skip
    assert undated.err == "postrider: --as-of: instants should be RFC 3339 text\n"
    assert {absent.code, undated.code} == {2}
