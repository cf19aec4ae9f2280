"""The relay of the proof: what it does to connections while it is cut, and afterwards."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator

import pytest

from proof.relay import Relay

HOST = "127.77.1.1"
MOMENT_SECONDS = 0.2


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a server that says what it is told."""
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def relay(port: int) -> AsyncIterator[Relay]:
    async with Relay(HOST, port) as relay:
        yield relay


async def nothing_from(reader: StreamReader) -> "asyncio.Task[bytes]":
    """For a moment; what comes in the end."""
    answer = asyncio.create_task(reader.readline())
    done, _ = await asyncio.wait({answer}, timeout=MOMENT_SECONDS)
    assert not done
    return answer


@pytest.mark.parametrize("was_used_before", [True, False])
async def test_what_is_said_during_a_cut_is_answered_once_it_is_mended(
    relay: Relay, port: int, was_used_before: bool
) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    if was_used_before:
        writer.write(b"before\n")
        assert await reader.readline() == b"before\n"
    relay.cut()

    writer.write(b"meanwhile\n")
    answer = await nothing_from(reader)

    relay.mend()
    assert await answer == b"meanwhile\n"
    writer.close()


async def test_who_comes_during_a_cut_is_answered_once_it_is_mended(
    relay: Relay, port: int
) -> None:
    relay.cut()

    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"anybody?\n")
    answer = await nothing_from(reader)

    relay.mend()
    assert await answer == b"anybody?\n"
    writer.close()


async def test_the_end_of_one_side_is_told_to_the_other(relay: Relay, port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)

    writer.write_eof()

    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("is_cut", [False, True])
async def test_closing_it_ends_what_goes_through_it(port: int, is_cut: bool) -> None:
    async with Relay(HOST, port) as relay:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"before\n")
        assert await reader.readline() == b"before\n"
        if is_cut:
            relay.cut()

    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
