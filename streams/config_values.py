"""How values are written in `faust.yaml`: `24h`, `10/s`, `64MiB`, `{env: NAME}`; and read back."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator, SecretStr

from policies.rules import RateLimit

_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_RATE = re.compile(r"(\d+)/(\d*(?:ms|s|m|h|d))")
_UNIT_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = re.compile(r"(\d+)(KiB|MiB|GiB)")


def _duration(value: object) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or not float(found[1]):
        raise ValueError(f"expected a duration such as 30s, 5m, 24h or 7d, got {value!r}")
    return float(found[1]) * _UNIT_SECONDS[found[2]]


def _show_duration(seconds: float) -> str:
    for unit in ("d", "h", "m", "s"):
        if seconds >= _UNIT_SECONDS[unit] and seconds % _UNIT_SECONDS[unit] == 0:
            return f"{seconds / _UNIT_SECONDS[unit]:.0f}{unit}"
    return f"{seconds * 1000:.0f}ms"


def _rate(value: object) -> RateLimit:
    if isinstance(value, RateLimit):
        return value
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not int(found[1]):
        raise ValueError(f"expected a rate such as 10/s, 60/h or 5/10m, got {value!r}")
    window = found[2] if found[2][0].isdigit() else f"1{found[2]}"
    return RateLimit(int(found[1]), _duration(window))


def _show_rate(rate: RateLimit | None) -> str | None:
    if rate is None:
        return None
    window = _show_duration(rate.window_seconds)
    return f"{rate.count}/{window[1:] if re.fullmatch('1[a-z]+', window) else window}"


def _size(value: object) -> int:
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not int(found[1]):
        raise ValueError(f"expected a size such as 512KiB, 64MiB or 1GiB, got {value!r}")
    return int(found[1]) * _UNIT_BYTES[found[2]]


def _show_size(size_bytes: int) -> str:
    unit = max(
        (unit for unit, factor in _UNIT_BYTES.items() if size_bytes % factor == 0),
        key=_UNIT_BYTES.__getitem__,
    )
    return f"{size_bytes // _UNIT_BYTES[unit]}{unit}"


def _secret(value: object) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    raise ValueError("expected {env: NAME} or {file: PATH}, never the secret itself")


Duration = Annotated[float, BeforeValidator(_duration), PlainSerializer(_show_duration)]
"""Seconds."""


def between(least: str, most: str) -> AfterValidator:
    """For a duration: both ends are allowed, and told as they are written."""

    def check(seconds: float) -> float:
        if not _duration(least) <= seconds <= _duration(most):
            raise ValueError(f"expected {least} to {most}, got {_show_duration(seconds)}")
        return seconds

    return AfterValidator(check)


def at_least(least: str) -> AfterValidator:
    """For a size."""

    def check(size_bytes: int) -> int:
        if size_bytes < _size(least):
            raise ValueError(f"expected {least} or more, got {_show_size(size_bytes)}")
        return size_bytes

    return AfterValidator(check)


Rate = Annotated[RateLimit, PlainValidator(_rate), PlainSerializer(_show_rate)]
Size = Annotated[int, BeforeValidator(_size), PlainSerializer(_show_size)]
"""Bytes."""
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
"""Named in the file, kept elsewhere; printed as stars."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
Place = tuple[str | int, ...]
Problem = tuple[Place, str]
"""Where in the file, and what is expected there."""


_NOT_SET = "not-set"


class Resolution:
    """Puts values from outside into the file.

    `${NAME}` and `${NAME:-default}` are replaced; a key whose value is empty is as if it were not
    written. `{env: NAME}` and `{file: PATH}` become secrets. What is not there becomes a problem
    where `needs` says that this process cannot do without.
    """

    def __init__(self, environment: Mapping[str, str], needs: Callable[[Place], bool]) -> None:
        self._environment = environment
        self._needs = needs
        self.problems: list[Problem] = []

    def of(self, tree: Any, place: Place = ()) -> Any:
        match tree:
            case {"env": str(name), **rest} if not rest:
                return self._secret(self._environment.get(name), name, place)
            case {"file": str(name), **rest} if not rest:
                return self._secret(_read(Path(name)), f"the file {name}", place)
            case dict():
                members = {key: self.of(each, (*place, key)) for key, each in tree.items()}
                return {key: each for key, each in members.items() if each != ""}
            case list():
                return [self.of(each, (*place, number)) for number, each in enumerate(tree)]
            case str():
                return _VARIABLE.sub(lambda found: self._variable(found, place), tree)
        return tree

    def _secret(self, value: str | None, where: str, place: Place) -> SecretStr:
        if not value and self._needs(place):
            self.problems.append((place, f"missing secret; expected it in {where}"))
        return SecretStr(value or "")

    def _variable(self, found: re.Match[str], place: Place) -> str:
        value = self._environment.get(found[1], found[2])
        if value is None and self._needs(place):
            self.problems.append((place, f"expected the environment variable {found[1]}"))
        return _NOT_SET if value is None else value


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
