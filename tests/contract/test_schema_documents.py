from pathlib import Path

import pytest

from schemas.catalogue import PUBLIC_RECORDS, PUBLIC_TOPICS
from scripts.write_schemas import ROOT, asyncapi, documents


@pytest.mark.parametrize(("path", "text"), documents().items(), ids=str)
def test_a_generated_document_is_up_to_date(path: Path, text: str) -> None:
    on_disk = (ROOT / path).read_text() if (ROOT / path).exists() else ""

    assert on_disk == text, "stale: run `python -m scripts.write_schemas`"


def test_no_document_is_left_of_a_record_that_is_gone() -> None:
    on_disk = {path.name for path in (ROOT / "docs/schemas").iterdir()}

    assert on_disk == {record.file_name for record in PUBLIC_RECORDS}


def test_every_reference_in_the_topics_document_leads_somewhere() -> None:
    document = asyncapi()

    for channel in document["channels"].values():
        for message in channel["messages"].values():
            assert message["$ref"].rpartition("/")[2] in document["components"]["messages"]
    for message in document["components"]["messages"].values():
        file = message["payload"]["schema"]["$ref"]
        assert (ROOT / "docs" / file).is_file()
    described = {operation["channel"]["$ref"] for operation in document["operations"].values()}
    assert described == {f"#/channels/{topic.name}" for topic in PUBLIC_TOPICS}
