"""A request for which there is no descriptor, or no memory: no provider is to blame for that."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pycurl
import pytest

from channels.transport import Reply, Transport
from schemas.outcome import NotProcessed
from tests.contract.channels.test_transport import post, transport
from tests.contract.channels.wire import Scripted, http, serving


@contextmanager
def no_more_files() -> Iterator[None]:
    """Nothing can be opened meanwhile, connections included."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_who_can_open_no_connection_at_all_blames_no_provider_for_it() -> None:
    async with serving(Scripted(http(200))) as url, transport(url) as made:
        assert isinstance(await made.post(url, b"first", {}, timeout_seconds=5), Reply)
        with no_more_files():
            outcome = await made.post("http://127.0.0.1:9", b"body", {}, timeout_seconds=5)

    assert outcome == NotProcessed(consumes_attempt=False, reason="unreachable")


@pytest.mark.parametrize(
    "error",
    [
        pycurl.error("initializing curl failed"),
        pycurl.error(pycurl.E_OUT_OF_MEMORY, "out of memory"),
    ],
    ids=["no handle", "no memory"],
)
async def test_a_request_without_memory_is_for_whoever_comes_after_this_process(
    monkeypatch: pytest.MonkeyPatch, error: pycurl.error
) -> None:
    def refuse(self: Transport) -> pycurl.Curl:
        raise error

    monkeypatch.setattr(Transport, "_new_handle", refuse)

    with pytest.raises(OSError, match="Cannot allocate memory"):
        await post("http://127.0.0.1:9")
