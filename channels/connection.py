"""One HTTP/1.1 connection: one request at a time, its answer complete, and a bound on the wait for it.

httptools parses. What senders need of HTTP is a post and its answer; a client for everybody's needs
took a third of the CPU of a mail (docs/decisions/0003-http-client.md).
"""

import asyncio
from collections.abc import Sequence
from typing import cast

import httptools

from channels.reply import Reply

MAX_ANSWER_BYTES = 1024 * 1024
"""Heads included. Providers answer with a few hundred; what goes on and on must not fill the memory."""


class Connection(asyncio.Protocol):
    """Of no use any more after an exchange that raised; to be asked `is_open` before each."""

    def __init__(self) -> None:
        self.kept_since = 0.0
        """The instant of the loop's clock that its last answer came at."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[Reply] | None = None
        self._answer_bytes = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._ends_with_connection = False

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: Sequence[bytes], deadline: float) -> Reply:
        """The answer to a request, which is handed over in pieces.

        Whatever it raises, the request may have been carried out.

        Raises:
            TimeoutError: there was no complete answer by `deadline`, of the loop's clock.
            OSError: the connection was lost, or what came was no answer.
        """
        if self._transport is None:
            raise ConnectionResetError("closed as soon as it was open")
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._reply = reply
        self._answer_bytes = 0
        timer = self._loop.call_at(deadline, self._fail, TimeoutError())
        self._transport.writelines(request)
        try:
            return await reply
        except BaseException:  # a cancelled one, too: its answer would be taken for the next one's
            self.abort()
            raise
        finally:
            timer.cancel()
            self._reply = None
            self.kept_since = self._loop.time()

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def abort(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape only

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._ends_with_connection:
            self._complete()
        self._fail(ConnectionResetError("closed before the answer was complete"))

    def data_received(self, data: bytes) -> None:
        self._answer_bytes += len(data)
        if self._reply is None or self._answer_bytes > MAX_ANSWER_BYTES:
            self._fail(ConnectionError("sent what nobody asked for"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(ConnectionError("does not speak HTTP"))

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._reply is None or self._reply.done():
            self.abort()  # a second answer to one request: nobody knows what the next would be to
        self._headers, self._body = {}, []
        self._ends_with_connection = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        headers = self._headers
        has_end = "content-length" in headers or "transfer-encoding" in headers
        self._ends_with_connection = not has_end

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:  # else another one follows
            self._complete()

    def _complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if self._reply is not None and not self._reply.done():
            status = self._parser.get_status_code()
            self._reply.set_result(Reply(status, self._headers, b"".join(self._body)))

    def _fail(self, error: OSError) -> None:
        self.abort()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
