"""Every way in which a request can fail is one of two outcomes: never left, or nobody knows."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.settings import ProviderSettings
from channels.transport import Reply, Transport, outcome_of
from schemas.outcome import Misconfigured, NotProcessed, Outcome, Rejected, Unknown
from tests.contract.channels.wire import Behaviour, http, read_request, reset, serving

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
            *(made.post(url, b"", {}, timeout_seconds=0.5) for _ in range(2))
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


def test_only_an_error_of_connecting_is_known_to_have_sent_nothing() -> None:
    known = {
        error
        for error in all_errors(aiohttp.ClientError)
        if isinstance(outcome_of(error.__new__(error)), NotProcessed)
    }

    assert known == set(all_errors(aiohttp.ClientConnectorError)) | {aiohttp.ConnectionTimeoutError}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),  # already over
        ("-3", 0.0),
        ("1e999", 3600.0),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    reply = Reply(429, {"Retry-After": value}, b"")

    assert reply.retry_after_seconds(now_ms=1_767_225_600_000) == seconds


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (401, Misconfigured(provider_code="401")),
        (403, Misconfigured(provider_code="403")),
        (404, Misconfigured(reason="bad_endpoint", provider_code="404")),
        (405, Misconfigured(reason="bad_endpoint", provider_code="405")),
        (413, Rejected(provider_code="413")),
        (429, NotProcessed(provider_code="429")),
        (500, Unknown(reason="server_error", provider_code="500")),
        (502, Unknown(reason="server_error", provider_code="502")),
        (999, Unknown(reason="server_error", provider_code="999")),
    ],
)
def test_status_alone_has_a_meaning(status: int, outcome: Outcome) -> None:
    assert Reply(status, {}, b"").outcome() == outcome


def all_errors(kind: type[aiohttp.ClientError]) -> Iterator[type[aiohttp.ClientError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from all_errors(narrower)


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
