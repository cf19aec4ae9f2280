"""A TCP proxy in front of a Kafka broker: counts requests by kind and holds some of them back.

Clients keep to it because it replaces the broker's port in every answer.
"""

import asyncio
import collections
import contextlib
import struct
from types import TracebackType

_HEAD = struct.Struct(">ihhi")
"""Of a request: size, kind, version, correlation id."""
PRODUCE, FETCH, FIND_COORDINATOR, JOIN_GROUP = 0, 1, 10, 11
ADD_PARTITIONS, END_TRANSACTION = 24, 26


class HeldRequest:
    """A request that the client believes sent, and the broker has not seen yet."""

    def __init__(self, frame: bytes, upstream: "_Upstream", client: asyncio.StreamWriter) -> None:
        self._frame = frame
        self._upstream = upstream
        self._client = client

    async def release(self) -> bytes:
        """Let it arrive at last, unanswered; returns the answer behind its correlation id."""
        return (await self._upstream.ask(self._frame))[8:]

    async def answer(self) -> None:
        """Let it arrive, and its answer come back."""
        self._client.write(await self._upstream.ask(self._frame))

    def reply(self, body: bytes) -> None:
        """Answer it in the broker's place: this follows the correlation id."""
        _, _, _, correlation_id = _HEAD.unpack_from(self._frame)
        answer = correlation_id.to_bytes(4, "big") + body
        self._client.write(len(answer).to_bytes(4, "big") + answer)

    def hang_up(self) -> None:
        """Cut the client's connection."""
        self._client.close()


class _Upstream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()

    async def ask(self, frame: bytes) -> bytes:
        async with self._turn:
            self._writer.write(frame)
            return await _read_frame(self._reader)


class KafkaProxy:
    """`async with KafkaProxy(bootstrap) as proxy`, then connect to `proxy.bootstrap`.

    Requests of one connection are answered one by one, which is enough for our producer.
    """

    def __init__(self, broker: str) -> None:
        host, port = broker.split(":")
        self._host = host
        self._broker_port = int(port)
        self.requests: collections.Counter[int] = collections.Counter()
        self.order: list[int] = []
        self._to_hold: collections.Counter[int] = collections.Counter()
        self._held: asyncio.Queue[HeldRequest] = asyncio.Queue()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "KafkaProxy":
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        self._port = self._server.sockets[0].getsockname()[1]
        self.bootstrap = f"{self._host}:{self._port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:  # whoever still reads finds the end
            writer.close()
        await asyncio.gather(*self._tasks)

    def hold(self, kind: int) -> None:
        """Keep the next request of this kind back; its client gets no answer."""
        self._to_hold[kind] += 1

    async def held(self) -> HeldRequest:
        """The oldest request held back and not taken yet; waits for one."""
        return await self._held.get()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        upstream_reader, upstream_writer = await asyncio.open_connection(
            self._host, self._broker_port
        )
        self._writers |= {writer, upstream_writer}
        upstream = _Upstream(upstream_reader, upstream_writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                frame = await _read_frame(reader)
                _, kind, _, _ = _HEAD.unpack_from(frame)
                self.requests[kind] += 1
                self.order.append(kind)
                if self._to_hold[kind]:
                    self._to_hold[kind] -= 1
                    self._held.put_nowait(HeldRequest(frame, upstream, writer))
                    continue
                writer.write(self._own_port(await upstream.ask(frame)))
        writer.close()

    def _own_port(self, answer: bytes) -> bytes:
        """In Kafka's answers a broker's port follows its host."""
        host = self._host.encode()
        return answer.replace(
            host + struct.pack(">i", self._broker_port), host + struct.pack(">i", self._port)
        )


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(4)
    return size + await reader.readexactly(int.from_bytes(size, "big"))
