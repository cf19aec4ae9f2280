"""A TLS server that answers with what is not Kafka, and never ends a connection."""

import contextlib
import socket
import ssl
import threading
from typing import Self

from tests.certificates import Pair

_NO_ANSWER_OF_KAFKA = b"\x00\x00\x00\x04\xff\xff\xff\xff"


class MuteServer:
    def __init__(self, pair: Pair) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.certificate, pair.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self.has_been_asked = False

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (self._listener, *self._held):
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # closed
                return
            self._held.append(accepted)
            try:
                self._answer(accepted)
            except OSError:  # it does not speak TLS, and need not wait
                with contextlib.suppress(OSError):
                    accepted.shutdown(socket.SHUT_RDWR)

    def _answer(self, accepted: socket.socket) -> None:
        spoken = self._context.wrap_socket(
            accepted.dup(), server_side=True, suppress_ragged_eofs=False
        )
        if spoken.recv(1):
            self.has_been_asked = True
            spoken.sendall(_NO_ANSWER_OF_KAFKA)
        self._held.append(spoken)
