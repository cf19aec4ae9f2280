"""Whether Kafka can be reached as `faust.yaml` says; if not, what is wrong there and what to do.

aiokafka says of every failure that it could not bootstrap, or tries again for ever and says
nothing. So whoever is about to use Kafka connects once by hand, and looks at what became of it.
"""

import asyncio
import socket
import ssl
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from policies.clock import SystemClock
from schemas.instants import rfc3339
from streams.config_kafka import REQUEST_TIMEOUT_MS, KafkaSettings
from streams.config_shape import SecurityShape
from streams.config_tls import expires_ms

_CLOSE_SECONDS = 1.0
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_NAME = (62, 64)
"""OpenSSL's verify codes: of a host, of an IP address."""

Address = tuple[str, int]
_FAILURES = (KafkaError, OSError, TimeoutError, EOFError)


class Unreachable(Exception):
    """Raised when Kafka cannot be reached; its text is one line with the place in `faust.yaml`.

    `is_away` when nobody answers, which may pass; otherwise it lasts until somebody mends it.
    """

    def __init__(self, told: str, *, is_away: bool = False) -> None:
        super().__init__(told)
        self.is_away = is_away


async def reach(kafka: KafkaSettings) -> None:
    """Return when Kafka answers, and so does some broker at the address that Kafka gives for it.

    Raises:
        Unreachable: with what to do about it.
        ConfigInvalid: as `KafkaSettings.connection`.
    """
    options = dict(kafka.connection())
    servers = [(host, port) for host, port, _ in collect_hosts(options.pop("bootstrap_servers"))]
    caller = _Caller(options, kafka.shape.security)
    answers, failures = await caller.call(servers)
    if not answers:
        raise _gravest(failures)
    given = set[Address]().union(*answers)
    if not given & set(servers):
        answers, failures = await caller.call(given)
        if failures and not answers:
            failures = [Unreachable(f"{each}; {_GIVEN}", is_away=each.is_away) for each in failures]
            raise _gravest(failures)


_GIVEN = "Kafka itself gives this address to its clients: see advertised.listeners of the broker"


class _Caller:
    """Connects as every client of ours does."""

    def __init__(self, options: Mapping[str, Any], security: SecurityShape) -> None:
        self._options = options
        self._security = security

    async def call(self, to: Collection[Address]) -> tuple[list[set[Address]], list[Unreachable]]:
        """All at once; which brokers each one that answers tells of, and why others do not."""
        ends = await asyncio.gather(*map(self._call, to), return_exceptions=True)
        answers: list[set[Address]] = []
        failures: list[Unreachable] = []
        for end in ends:
            match end:
                case Unreachable():
                    failures.append(end)
                case BaseException():
                    raise end
                case _:
                    answers.append(end)
        return answers, failures

    async def _call(self, address: Address) -> set[Address]:
        try:
            answer = await _ask(address, MetadataRequest([]), self._options)
        except _FAILURES as error:
            raise await self._explained(address, error) from error
        return {(host, port) for _, host, port, *_ in answer.brokers}

    async def _explained(self, address: Address, error: BaseException) -> Unreachable:
        security = self._security
        host, port = address
        where = f"Kafka at {host}:{port}"
        for each in _chain(error):
            match each:
                case socket.gaierror():
                    told = f"the host {host} cannot be resolved ({each.strerror})"
                    return _away(f"{told}: correct its name, or the DNS of this machine")
                case ssl.SSLCertVerificationError():
                    return Unreachable(_of_its_certificate(where, each, security))
                case ssl.SSLError() if _is_about_ours(each):
                    return Unreachable(_of_our_certificate(where, each, security))
                case SaslAuthenticationFailed():
                    told = f"{where} refuses user {security.username} by {security.mechanism}"
                    todo = "correct kafka.security.username or its password, or create the user"
                    return Unreachable(f"kafka.security.password: {told}: {todo}")
                case UnsupportedSaslMechanismError():
                    told = f"{where} does not offer {security.mechanism}"
                    todo = "see sasl.enabled.mechanisms of the broker"
                    return Unreachable(f"kafka.security.mechanism: {told}: {todo}")
        # Who is silent would be so in any language.
        spoken = None if isinstance(error, TimeoutError) else await _spoken(address)
        if spoken not in (None, security.protocol):
            told = f"{security.protocol}, but {where} speaks {spoken}"
            todo = "change it, or name the port of another listener in kafka.bootstrap"
            return Unreachable(f"kafka.security.protocol: {told}: {todo}")
        return _away(f"no Kafka answers at {host}:{port} ({_why(error)})")


def _away(told: str) -> Unreachable:
    return Unreachable(f"kafka.bootstrap: {told}", is_away=True)


def _gravest(failures: Collection[Unreachable]) -> Unreachable:
    """What somebody must mend; else all that is away, in one line."""
    for each in failures:
        if not each.is_away:
            return each
    return Unreachable("; ".join(sorted({str(each) for each in failures})), is_away=True)


def _of_its_certificate(
    where: str, error: ssl.SSLCertVerificationError, security: SecurityShape
) -> str:
    found = f"the certificate of {where}"
    if error.verify_code == _EXPIRED:
        return f"kafka.security: {found} has expired: renew it on the broker"
    if error.verify_code == _NOT_YET_VALID:
        return f"kafka.security: {found} is not valid yet: is the clock of this machine right?"
    why = error.verify_message.rstrip(".")
    if error.verify_code in _OTHER_NAME:
        return f"kafka.bootstrap: {found} is for another name ({why}): use one that is in it"
    told = f"does not vouch for {found} ({why}): name the authority that issued it"
    if security.ca_bundle is None:
        return f"kafka.security.ca_bundle: missing, and what this machine trusts {told}"
    return f"kafka.security.ca_bundle: {security.ca_bundle} {told}"


def _of_our_certificate(where: str, error: ssl.SSLError, security: SecurityShape) -> str:
    ours = security.certificate
    if ours is None:
        told = f"missing; {where} asks clients for one: name it, and its key"
    elif (expired_ms := expires_ms(ours)) < SystemClock().now_ms():
        told = f"{ours} expired at {rfc3339(expired_ms)}: renew it"
    else:
        told = f"{where} does not accept {ours}: name one of an authority that the broker trusts"
    return f"kafka.security.certificate: {told}"


def _is_about_ours(error: ssl.SSLError) -> bool:
    reason = error.reason or ""
    return "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason)


async def _spoken(address: Address) -> str | None:
    """The protocol of whoever listens there; None when nobody can be understood.

    No credentials are shown: it could be anybody.
    """
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    clear = {"request_timeout_ms": REQUEST_TIMEOUT_MS}
    tls = clear | {"security_protocol": "SSL", "ssl_context": unchecked}
    for protocol, options in (("PLAINTEXT", clear), ("SSL", tls)):
        try:
            answer = await _ask(address, SaslHandShakeRequest("none"), options)
        except _FAILURES as error:
            if any(
                isinstance(each, ssl.SSLError) and _is_about_ours(each) for each in _chain(error)
            ):
                return protocol
            continue
        is_open = answer.error_code == IllegalSaslStateError.errno
        return protocol if is_open else f"SASL_{protocol}"
    return None


async def _ask(address: Address, request: Any, options: Mapping[str, Any]) -> Any:
    """One question on a connection of its own, which is gone when this ends."""
    connection = AIOKafkaConnection(*address, **options)
    try:
        await connection.connect()
        return await connection.send(request)
    finally:
        await _close(connection)


async def _close(connection: AIOKafkaConnection) -> None:
    """aiokafka waits for nothing, and a peer that does not say goodbye keeps TLS open for long."""
    protocol = connection._protocol
    if protocol is None:  # never connected
        return
    gone = connection.close()
    await asyncio.wait([gone], timeout=_CLOSE_SECONDS)
    if not gone.done():
        protocol._transport.abort()
        await asyncio.wait([gone])


def _why(error: BaseException) -> str:
    match error:
        case TimeoutError():
            return f"silent for {REQUEST_TIMEOUT_MS // 1000} s"
        case ConnectionRefusedError():
            return "connection refused"
        case OSError(strerror=str(told)):
            return told
        case _:
            return "the connection was closed"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
