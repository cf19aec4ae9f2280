"""A machine that has run out of something: no record is taken for unreadable because of that."""

import errno
from dataclasses import replace

from schemas.kafka import InboundRecord
from streams.engine.routes import Topology
from tests.unit.engine.bench import Bench


class CannotRead(Bench):
    """Whose decoder needs a file, such as the list of time zones, that cannot be opened."""

    def topology(self) -> Topology:
        usual = super().topology()

        def decode(record: InboundRecord) -> bytes:
            raise OSError(errno.EMFILE, "Too many open files")

        return replace(usual, sources=tuple(replace(each, decode=decode) for each in usual.sources))


async def test_the_process_ends_where_a_record_cannot_be_read_for_want_of_files() -> None:
    bench = CannotRead()
    bench.request(b"a")

    await bench.take_over()
    await bench.until(lambda: bool(bench.deaths))

    assert isinstance(bench.deaths[0], OSError)
    assert bench.statuses() == {}
    assert bench.notes.dead_letters == []
