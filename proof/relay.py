"""`Relay`: a way to a server that can be cut, and mended."""

import asyncio
from asyncio import StreamReader, StreamWriter
from typing import Self

_CHUNK_BYTES = 1 << 16


class Relay:
    """Listens at `host`, and carries to the same port of 127.0.0.1. While it is cut nothing arrives at
    either end, and connections stay as they are; what was said meanwhile arrives once it is mended,
    as TCP would have it."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def cut(self) -> None:
        self._is_whole.clear()

    def mend(self) -> None:
        self._is_whole.set()

    def _take(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await self._is_whole.wait()
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                await asyncio.gather(self._pump(reader, to_server), self._pump(from_server, writer))
            finally:
                to_server.close()
        except OSError:
            pass  # one end is gone, so the other is told
        finally:
            writer.close()

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Until there is no more."""
        while True:
            data = await reader.read(_CHUNK_BYTES)
            await self._is_whole.wait()
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()
