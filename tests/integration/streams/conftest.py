"""A desk for each test of the stream layer."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.cli import main
from streams.embedded_kafka import EmbeddedKafka
from tests.brokers import SecuredKafka, running, secured_kafka
from tests.integration.command_line.conftest import Ended
from tests.integration.streams.desk import Desk
from tests.integration.streams.secured import Postrider, Site
from tests.integration.streams.shelf import Shelf


@pytest.fixture
async def desk(kafka: EmbeddedKafka) -> AsyncIterator[Desk]:
    opened = Desk(kafka.bootstrap)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def shelf(desk: Desk, tmp_path: Path) -> Iterator[Shelf]:
    opened = Shelf(desk, tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A broker with TLS, SASL and ACLs, for whoever tests how to connect."""
    opened = secured_kafka(tmp_path_factory.mktemp("secured"))
    with running(opened.broker):
        yield opened


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    opened = Site(tmp_path)
    for name, value in opened.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("POSTRIDER_CONFIG", "POSTRIDER_DATA"):
        monkeypatch.delenv(name, raising=False)
        opened.environment.pop(name, None)
    yield opened
    opened.close()


@pytest.fixture
def postrider(capsys: pytest.CaptureFixture[str]) -> Postrider:
    """`postrider COMMAND` with a configuration file."""

    def run(file: Path, *arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--config", str(file)])
        return Ended(ended.value.code, *capsys.readouterr())

    return run
