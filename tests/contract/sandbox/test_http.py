"""The HTTP/1.1 server below the providers: framing, pipelining, limits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from sandbox.http import MAX_BODY_BYTES, MAX_HEADER_BYTES, Connection, Reply, Request
from tests.contract.sandbox.conftest import eventually


@dataclass
class Server:
    """Answers each request with its body, at once or when the test says so."""

    seen: list[Request] = field(default_factory=list)
    held: list[tuple[Request, Connection]] = field(default_factory=list)
    holds: bool = False
    connections: set[Connection] = field(default_factory=set)
    port: int = 0

    def handle(self, request: Request, connection: Connection) -> None:
        self.seen.append(request)
        if self.holds:
            self.held.append((request, connection))
        else:
            connection.send(Reply(200, request.body, content_type="text/plain"))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.get_running_loop().create_server(
        lambda: Connection(server.handle, server.connections), "127.0.0.1", 0
    )
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()
    for connection in list(server.connections):
        connection.abort()
    await listening.wait_closed()


Exchange = Callable[[bytes], Awaitable[bytes]]


@pytest.fixture
async def exchange(server: Server) -> Exchange:
    """Send bytes, half-close nothing, read until the server closes."""

    async def exchange(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(data)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        return answer

    return exchange


def post(body: bytes, *, last: bool = False) -> bytes:
    close = b"Connection: close\r\n" if last else b""
    head = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Name: Value\r\n"
    return head + close + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def test_a_request_arrives_whole_with_its_parts(server: Server, exchange: Exchange) -> None:
    answer = await exchange(post(b"hello", last=True))

    (request,) = server.seen
    assert (request.method, request.path, request.query) == ("POST", "/a", "b=c")
    assert request.headers["x-name"] == "Value"
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nhello")


async def test_pipelined_requests_are_answered_in_order(server: Server, exchange: Exchange) -> None:
    bodies = [b"body-%d" % n for n in range(300)]

    answer = await exchange(b"".join(post(body) for body in bodies) + post(b"end", last=True))

    assert [request.body for request in server.seen] == [*bodies, b"end"]
    assert [part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 ")[1:]] == [
        *bodies,
        b"end",
    ]


async def test_a_request_waits_for_the_reply_to_the_one_before_it(server: Server) -> None:
    server.holds = True
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(post(b"first") + post(b"second"))
    await eventually(lambda: bool(server.held))

    assert [request.body for request, _ in server.held] == [b"first"]
    _, connection = server.held[0]
    assert connection.send(Reply(200, b"1"))
    assert [request.body for request, _ in server.held] == [b"first", b"second"]
    connection.send(Reply(200, b"2"))

    async with asyncio.timeout(5):
        first = await reader.readuntil(b"\r\n\r\n1")
        second = await reader.readuntil(b"\r\n\r\n2")
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_chunked_body_is_put_together(server: Server, exchange: Exchange) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"

    await exchange(head + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    assert server.seen[0].body == b"hello world"


async def test_a_request_may_arrive_byte_by_byte(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for byte in post(b"slow", last=True):
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        answer = await reader.read()

    assert server.seen[0].body == b"slow"
    assert answer.endswith(b"slow")
    writer.close()


async def test_a_client_that_waits_for_continue_is_told_to(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    async with asyncio.timeout(5):
        go_on = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ok")
        answer = await reader.readuntil(b"ok")

    assert go_on.startswith(b"HTTP/1.1 100")
    assert answer.startswith(b"HTTP/1.1 200")
    writer.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01 not http\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), b"413"),
        (b"POST / HTTP/1.1\r\nX: " + b"x" * MAX_HEADER_BYTES + b"\r\n\r\n", b"431"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_the_connection_closed(
    server: Server, exchange: Exchange, data: bytes, status: bytes
) -> None:
    answer = await exchange(data)

    assert answer.split(b" ")[1] == status
    assert server.seen == []


async def test_a_reply_to_a_client_that_has_gone_is_reported_as_not_sent(server: Server) -> None:
    server.holds = True
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(post(b"hello"))
    await eventually(lambda: bool(server.held))
    _, connection = server.held[0]
    writer.transport.abort()
    await asyncio.wait_for(connection.closed, 5)

    assert connection.send(Reply(200)) is False
