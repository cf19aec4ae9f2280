"""What was written under an older version must be readable for ever, and what we write readable
by those who know an older version only. `records/<version>/` holds what was recorded then."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.catalogue import DEAD_LETTER, PUBLIC_RECORDS, RECEIPT, PublicRecord
from schemas.dead_letter import decode_dead_letter
from schemas.decode import Decoder
from schemas.kafka import InboundRecord
from schemas.receipt import decode_receipt

RECORDED = Path(__file__).parent / "records"
LINES = [
    pytest.param(path, line, id=f"{path.parent.name}-{path.stem}-{number}")
    for path in sorted(RECORDED.glob("*/*.jsonl"))
    for number, line in enumerate(path.read_bytes().splitlines(), 1)
]
OUTBOUND = (RECEIPT, DEAD_LETTER)


def record_of(path: Path) -> PublicRecord:
    return next(each for each in PUBLIC_RECORDS if each.file_name == f"{path.stem}.json")


def fail_on_ignored(topic: str, count: int) -> None:
    raise AssertionError(f"{count} fields of an older version are not known any more: {topic}")


@pytest.mark.parametrize(("path", "line"), LINES)
def test_a_record_of_an_older_version_is_still_read(path: Path, line: bytes) -> None:
    record = record_of(path)
    if record is RECEIPT:
        assert decode_receipt(line).notification_id
    elif record is DEAD_LETTER:
        letter = decode_dead_letter(line)
        assert letter.batch().targets if letter.kind == "deliveries" else letter.value
    else:
        source: Any = record.source
        version = (("schema-version", path.parent.name.encode()),)
        decode = Decoder(source, on_ignored=fail_on_ignored)
        assert decode(InboundRecord(record.name, 0, 0, 0, None, line, version))


@pytest.mark.parametrize("record", OUTBOUND, ids=lambda record: record.name)
def test_readers_of_an_older_version_find_all_that_they_knew(record: PublicRecord) -> None:
    now = record.json_schema()["$defs"][record.name]

    for path in sorted(RECORDED.glob(f"*/schemas/{record.file_name}")):
        then = json.loads(path.read_text())["$defs"][record.name]
        assert set(then["required"]) <= set(now["required"])
        for name, shape in then["properties"].items():
            assert now["properties"].get(name) == shape, name


def test_every_public_record_was_recorded() -> None:
    names = {path.stem for path in (RECORDED / "1.0").glob("*.jsonl")}

    assert names == {record.file_name.removesuffix(".json") for record in PUBLIC_RECORDS}
    assert {path.name for path in (RECORDED / "1.0" / "schemas").iterdir()} == {
        record.file_name for record in OUTBOUND
    }
