"""Every way in which a request can fail is one of two outcomes: never left, or nobody knows."""

import asyncio
import datetime
import gzip
import ipaddress
import socket
import ssl
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.settings import ProviderSettings
from channels.transport import Reply, Transport
from schemas.outcome import Misconfigured, NotProcessed, Outcome, Unknown
from tests.contract.channels.wire import (
    Behaviour,
    Scripted,
    http,
    read_request,
    reset,
    serving,
)

End = Callable[[Writer], None]

NEVER_LEFT = NotProcessed(consumes_attempt=True, reason="unreachable")
LOST = Unknown(reason="connection_lost")
TIMEOUT = Unknown(reason="timeout")


@asynccontextmanager
async def transport(
    url: str, *, ca_bundle: Path | None = None, connections: int = 10
) -> AsyncIterator[Transport]:
    made = Transport(ProviderSettings(base_url=url, ca_bundle=ca_bundle, connections=connections))
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def post(url: str, *, ca_bundle: Path | None = None, seconds: float = 5.0) -> object:
    async with transport(url, ca_bundle=ca_bundle) as made:
        return await made.post(url + "/x", b"body", {}, timeout_seconds=seconds)


async def hang_after_reading(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    await reader.read()  # until the client gives up


async def close_after_reading(reader: Reader, writer: Writer) -> None:
    await read_request(reader)


async def reset_at_once(reader: Reader, writer: Writer) -> None:
    reset(writer)


async def reset_after_reading(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    reset(writer)


def close(writer: Writer) -> None:
    writer.close()


async def reset_inside_the_body(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of i")
    await writer.drain()
    reset(writer)


async def close_inside_the_body(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of i")


async def close_inside_the_headers(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


async def half_open(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    await reader.read()


async def garbage(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(b"220 mail.example.com ESMTP\r\n\x00\xff\r\n\r\n")


async def garbage_chunks(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n")


async def garbage_compression(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(http(200, b"not gzip", "Content-Encoding: gzip"))


@pytest.mark.parametrize(
    ("behave", "outcome"),
    [
        (hang_after_reading, TIMEOUT),
        (half_open, TIMEOUT),
        (close_after_reading, LOST),
        (reset_at_once, LOST),
        (reset_after_reading, LOST),
        (reset_inside_the_body, LOST),
        (close_inside_the_body, LOST),
        (close_inside_the_headers, LOST),
        (garbage, LOST),
        (garbage_chunks, LOST),
        (garbage_compression, LOST),
    ],
)
async def test_request_that_left_and_was_not_answered_may_have_been_carried_out(
    behave: Behaviour, outcome: Outcome
) -> None:
    async with serving(behave) as url:
        assert await post(url, seconds=0.3 if outcome is TIMEOUT else 5) == outcome


@pytest.mark.parametrize("end", [close, reset])
async def test_request_lost_on_a_kept_connection_is_not_sent_again_unasked(end: End) -> None:
    received = 0

    async def answer_the_first(reader: Reader, writer: Writer) -> None:
        nonlocal received
        await read_request(reader)
        received += 1
        if received == 1:
            writer.write(http(200))
            await read_request(reader)
            received += 1
        end(writer)

    async with serving(answer_the_first) as url, transport(url) as made:
        first = await made.post(url, b"first", {}, timeout_seconds=5)
        second = await made.post(url, b"second", {}, timeout_seconds=5)

    assert isinstance(first, Reply)
    assert (second, received) == (LOST, 2)


@pytest.mark.parametrize("end", [close, reset])
async def test_provider_that_closes_its_connections_loses_one_request(end: End) -> None:
    both_are_here, both_are_gone = asyncio.Barrier(2), asyncio.Barrier(3)
    is_answered = asyncio.Event()

    async def answer_once(reader: Reader, writer: Writer) -> None:
        if is_answered.is_set():
            await Scripted(http(200))(reader, writer)
        await read_request(reader)
        await both_are_here.wait()
        writer.write(http(200))
        await is_answered.wait()
        end(writer)
        await writer.wait_closed()
        await both_are_gone.wait()

    async with serving(answer_once) as url, transport(url) as made:
        await asyncio.gather(*(made.post(url, b"one", {}, timeout_seconds=5) for _ in range(2)))
        is_answered.set()
        await both_are_gone.wait()
        later = [await made.post(url, b"later", {}, timeout_seconds=5) for _ in range(3)]

    assert [each for each in later if not isinstance(each, Reply)] in ([], [LOST])


async def test_call_that_is_cancelled_leaves_the_others_alone() -> None:
    both_are_here, go_on = asyncio.Barrier(3), asyncio.Event()

    async def answer_late(reader: Reader, writer: Writer) -> None:
        while True:
            request = await read_request(reader)
            await both_are_here.wait()
            await go_on.wait()
            writer.write(http(200, request.body))

    async with serving(answer_late) as url, transport(url) as made:
        given_up, kept = (
            asyncio.create_task(made.post(url, body, {}, timeout_seconds=5))
            for body in (b"given up", b"kept")
        )
        await both_are_here.wait()
        given_up.cancel()
        go_on.set()
        reply = await kept

    assert given_up.cancelled()
    assert isinstance(reply, Reply)
    assert reply.body == b"kept"


async def test_no_more_connections_are_opened_than_the_settings_allow() -> None:
    opened = 0
    server = Scripted(http(200))

    async def count(reader: Reader, writer: Writer) -> None:
        nonlocal opened
        opened += 1
        await server(reader, writer)

    async with serving(count) as url, transport(url, connections=3) as made:
        await asyncio.gather(
            *(made.post(url, b"body", {}, timeout_seconds=5) for _ in range(50)),
        )

    assert (opened, len(server.requests)) == (3, 50)


async def test_what_comes_before_the_answer_is_no_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nX-Message-Id: none\r\n\r\n"
    async with serving(Scripted(hints + http(202, b"", "X-Message-Id: a: b"))) as url:
        reply = await post(url)

    assert reply == Reply(202, {"content-length": "0", "x-message-id": "a: b"}, b"")


async def test_compressed_answer_is_read() -> None:
    answer = http(400, gzip.compress(b"because"), "Content-Encoding: gzip")
    async with serving(Scripted(answer)) as url:
        reply = await post(url)

    assert isinstance(reply, Reply)
    assert reply.body == b"because"


async def test_large_request_is_sent_without_asking_first() -> None:
    server, body = Scripted(http(200)), b"x" * 3_000_000
    async with serving(server) as url, transport(url) as made:
        await made.post(url + "/big", body, {"X-Kind": "größer"}, timeout_seconds=5)

    request = server.requests[0]
    assert (request.path, request.body) == ("/big", body)
    assert "expect" not in request.headers
    assert request.headers["x-kind"] == "größer"
    assert request.headers["user-agent"] == "postrider"


async def test_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serving(Scripted(http(200))) as url:
        assert isinstance(await post(url), Reply)


@pytest.mark.parametrize(
    ("url", "body", "headers", "said"),
    [
        ("http://", b"body", {}, "URL"),
        ("gopher://127.0.0.1", b"body", {}, "Unsupported protocol|gopher"),
        ("http://127.0.0.1", b"", {}, "without a body"),
        ("http://127.0.0.1", b"body", {"X-Key": "key\r\nX-Other: header"}, "X-Key"),
    ],
)
async def test_request_that_is_none_is_refused(
    url: str, body: bytes, headers: dict[str, str], said: str
) -> None:
    async with transport("http://127.0.0.1") as made:
        with pytest.raises(ValueError, match=said):
            await made.post(url, body, headers, timeout_seconds=5)


async def test_refused_connection_never_left() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets it
        assert await post(f"http://127.0.0.1:{taken.getsockname()[1]}") == NEVER_LEFT


async def test_host_without_address_never_left() -> None:
    assert await post("http://nowhere.invalid") == NEVER_LEFT


async def test_connection_that_is_not_established_in_time_never_left() -> None:
    with full_backlog() as url:
        assert await post(url, seconds=1.0) == NEVER_LEFT


async def test_request_that_gets_no_connection_from_the_pool_never_left() -> None:
    async with serving(hang_after_reading) as url, transport(url, connections=1) as made:
        outcomes = await asyncio.gather(
            *(made.post(url, b"body", {}, timeout_seconds=0.5) for _ in range(2))
        )

    assert outcomes == [TIMEOUT, NEVER_LEFT]


async def test_server_without_a_trusted_certificate_never_left(tmp_path: Path) -> None:
    async with serving(hang_after_reading, tls=tls_of(tmp_path)) as url:
        assert await post(url) == NEVER_LEFT


async def test_ca_bundle_of_the_settings_is_trusted(tmp_path: Path) -> None:
    async def answer(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(http(201, b"hello"))

    async with serving(answer, tls=tls_of(tmp_path)) as url:
        reply = await post(url, ca_bundle=tmp_path / "certificate.pem")

    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (201, b"hello")


async def test_redirect_is_not_followed() -> None:
    async def move(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(http(307, b"", "Location: /elsewhere"))

    async with serving(move) as url:
        reply = await post(url)

    assert isinstance(reply, Reply)
    assert reply.outcome() == Misconfigured(reason="bad_endpoint", provider_code="307")


@contextmanager
def full_backlog() -> Iterator[str]:
    """A listener that accepts nobody and whose queue is full: a connection is never established."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(address)
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            for one in waiting:
                one.close()


def tls_of(folder: Path) -> ssl.SSLContext:
    """A server's context whose certificate only `folder/certificate.pem` vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
