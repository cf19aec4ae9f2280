"""The relay of the proof: what it does to a connection while it is cut, and afterwards."""

import asyncio
from asyncio import StreamReader, StreamWriter

import pytest

from proof.relay import Relay

HOST = "127.77.1.1"
MOMENT_SECONDS = 0.2


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def test_a_cut_holds_both_directions_until_it_is_mended() -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Relay(HOST, port) as relay:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"before\n")
            assert await reader.readline() == b"before\n"

            relay.cut()
            writer.write(b"meanwhile\n")
            answer = asyncio.create_task(reader.readline())
            done, _ = await asyncio.wait({answer}, timeout=MOMENT_SECONDS)
            assert not done

            relay.mend()
            assert await answer == b"meanwhile\n"
            writer.close()


async def test_who_comes_while_it_is_cut_is_answered_once_it_is_mended() -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Relay(HOST, port) as relay:
            relay.cut()
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"anybody?\n")
            answer = asyncio.create_task(reader.readline())
            done, _ = await asyncio.wait({answer}, timeout=MOMENT_SECONDS)
            assert not done

            relay.mend()
            assert await answer == b"anybody?\n"
            writer.close()


async def test_the_end_of_one_side_is_told_to_the_other() -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Relay(HOST, port):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write_eof()

            assert await reader.read() == b""
            writer.close()


@pytest.mark.parametrize("is_cut", [False, True])
async def test_closing_it_ends_what_goes_through_it(is_cut: bool) -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Relay(HOST, port) as relay:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"before\n")
            assert await reader.readline() == b"before\n"
            if is_cut:
                relay.cut()

        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
