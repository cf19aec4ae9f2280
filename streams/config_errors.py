"""Faults of `faust.yaml` in words: where in the file, and what is expected there."""

import difflib
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from streams.config_values import Place, Problem


class ConfigInvalid(Exception):
    """Raised when `faust.yaml` cannot be used; `problems` has a line for each fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ConfigurationRefused(Exception):
    """Raised when the cluster is not what the configuration says; `problems` has a line a reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def lines(problems: Sequence[Problem]) -> list[str]:
    """One for each place, in the order of the file's sections."""
    first: dict[Place, str] = {}
    for place, text in problems:
        first.setdefault(place, text)
    return [f"{show(place)}: {text}" if place else text for place, text in first.items()]


def show(place: Place) -> str:
    """`types.order_confirmed.fallback[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def of_shape(error: ValidationError, shape: type[BaseModel]) -> list[Problem]:
    """pydantic's findings in our words."""
    return [_problem(each, shape) for each in error.errors(include_url=False)]


def expected_keys(unknown: object, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(str(unknown), known, n=1)
    if nearest:
        return f"unknown; did you mean {nearest[0]}?"
    return f"unknown; expected one of {', '.join(known)}"


def _problem(error: ErrorDetails, shape: type[BaseModel]) -> Problem:
    place, given = error["loc"], error.get("input")
    context: Mapping[str, Any] = error.get("ctx") or {}
    if place and place[-1] == "[key]":
        place = place[:-1]
        given = place[-1]
    match error["type"]:
        case "missing":
            return place, "missing, and there is no default"
        case "extra_forbidden":
            return place, expected_keys(place[-1], _keys_at(shape, place[:-1]))
        case "value_error" | "assertion_error":
            return place, str(context.get("error", error["msg"]))
        case "literal_error":
            return place, f"expected {context['expected']}, got {given!r}"
        case "greater_than_equal":
            return place, f"expected {context['ge']} or more, got {given!r}"
        case "greater_than":
            return place, f"expected more than {context['gt']}, got {given!r}"
        case "less_than_equal":
            return place, f"expected {context['le']} or less, got {given!r}"
        case "too_short":
            return place, "expected at least one"
        case "string_pattern_mismatch":
            return place, f"expected a text of the form {context['pattern']}, got {given!r}"
        case "path_not_file":
            return place, f"expected a file that exists, got {given!r}"
        case kind if kind in _EXPECTED:
            return place, f"expected {_EXPECTED[kind]}, got {_short(given)}"
        case _:
            return place, f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {_short(given)}"


_EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "on or off",
    "bool_type": "on or off",
    "string_type": "a text",
    "tuple_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(shape: type[BaseModel], place: Place) -> list[str]:
    """What may stand in the mapping at this place."""
    kind: Any = shape
    for part in place:
        kind = _member(_without_none(kind), part)
    kind = _without_none(kind)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _member(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_fields[str(part)].annotation
    return get_args(kind)[0 if isinstance(part, int) else 1]


def _without_none(kind: Any) -> Any:
    while get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if hasattr(kind, "__metadata__"):
        return _without_none(get_args(kind)[0])
    return kind
