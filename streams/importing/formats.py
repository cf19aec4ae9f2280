"""Files of recipients: CSV, JSON Lines and Parquet, read row by row whatever their size."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOWrapper
from typing import Any, BinaryIO, Literal, NamedTuple, get_args

from schemas.delivery import CHANNELS
from streams.importing.lines import BadLine, Row

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

_BY_SUFFIX: dict[str, Format] = {
    ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"
}  # fmt: skip
_PARQUET_ROWS = 4096
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BOOLEANS = {
    "on": True, "true": True, "yes": True, "1": True,
    "off": False, "false": False, "no": False, "0": False,
}  # fmt: skip
_PLAIN = ("user_id", "email", "phone", "name", "locale", "timezone", "occurred_at")
_DEVICE = ("device_id", "token", "platform")

COLUMNS = """\
  user_id                   required; all others may be missing or empty: then nothing is said
  email, phone              an address; a number as +15550100123
  name, locale, timezone    Ann Lee; pt-BR; America/Sao_Paulo
  audiences                 joined, separated by ; (Parquet: or a list)
  device.device_id, device.token, device.platform       one push device: ios, android, web
  CHANNEL.enabled           on or off; CHANNEL is push, email, sms or in_app
  CHANNEL.quiet_hours       23:00-07:00, in the recipient's own zone
  CHANNEL.daily_limit       0 to 1000
  types.TYPE                on or off, for one type of notification
  occurred_at               when this was true, such as 2026-03-01T12:00:00Z"""


class FileMistake(Exception):
    """Raised when a file as a whole is not what it is said to be; nothing of it was imported."""


class _Column(NamedTuple):
    path: tuple[str, ...]
    convert: Callable[[Any], Any] | None


def format_of(file_name: str) -> Format:
    """By its extension."""
    for suffix, found in _BY_SUFFIX.items():
        if file_name.lower().endswith(suffix):
            return found
    raise FileMistake(f"{file_name}: expected one of {', '.join(_BY_SUFFIX)}; or give --format")


def rows_of(format_: Format, file: BinaryIO) -> Iterator[Row | BadLine]:
    """What the file says, in its order.

    Raises:
        FileMistake: not such a file, or a column that means nothing; before the first row.
    """
    match format_:
        case "csv":
            return _csv_rows(file)
        case "jsonl":
            return _json_rows(file)
        case "parquet":
            return _parquet_rows(file)


def column_of(field: str) -> str:
    """The column that a field of `ImportLine` comes from."""
    return field.removeprefix("preferences.").replace("devices[0]", "device", 1)


def _json_rows(file: BinaryIO) -> Iterator[Row | BadLine]:
    for number, text in enumerate(file, 1):
        if number == 1:
            text = text.removeprefix(_BYTE_ORDER_MARK)
        if not text.isspace():
            yield Row(number, text)


def _csv_rows(file: BinaryIO) -> Iterator[Row | BadLine]:
    # What is not UTF-8 must spoil its own line only: it is kept as it is, and refused there.
    with TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            names = next(reader, [])
        except csv.Error as error:
            raise FileMistake(f"not a CSV file: {error}") from None
        columns = _columns([name.strip() for name in names])
        while True:
            number = reader.line_num + 1  # a quoted cell may go on for several lines
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadLine(number, "", f"not a line of CSV: {error}")
                continue
            if len(cells) == len(columns):
                yield Row(number, _members(columns, cells))
            elif cells:
                yield BadLine(number, "", f"{len(cells)} cells, expected {len(columns)}")


def _parquet_rows(file: BinaryIO) -> Iterator[Row | BadLine]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError:
        told = "a Parquet file needs the extra `parquet`: pip install 'postrider[parquet]'"
        raise FileMistake(told) from None
    try:
        table = ParquetFile(file)
    except ArrowInvalid as error:
        raise FileMistake(f"not a Parquet file: {error}") from None
    columns = _columns(table.schema_arrow.names)
    number = 0
    for batch in table.iter_batches(_PARQUET_ROWS):
        for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            number += 1
            yield Row(number, _members(columns, cells))


def _columns(names: Sequence[str]) -> list[_Column]:
    if "user_id" not in names:
        raise FileMistake("no column user_id; the first line names the columns")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise FileMistake(f"column {min(twice)} is there twice")
    return [_column(name) for name in names]


def _column(name: str) -> _Column:
    match name.split(".", 1):
        case [plain] if plain in _PLAIN:
            return _Column((name,), None)
        case ["audiences"]:
            return _Column((name,), _list)
        case ["device", member] if member in _DEVICE:
            return _Column(("device", member), None)
        case [channel, "enabled"] if channel in CHANNELS:
            return _Column(("preferences", channel, "enabled"), _boolean)
        case [channel, "quiet_hours"] if channel in CHANNELS:
            return _Column(("preferences", channel, "quiet_hours"), None)
        case [channel, "daily_limit"] if channel in CHANNELS:
            return _Column(("preferences", channel, "daily_limit"), _integer)
        case ["types", kind] if kind:
            return _Column(("preferences", "types", kind), _boolean)
    raise FileMistake(f"column {name!r} means nothing here; see --help for those that do")


def _members(columns: Sequence[_Column], cells: Iterable[Any]) -> dict[str, Any]:
    """Cells as members of an `ImportLine`; one that cannot be converted stays, to be refused."""
    members: dict[str, Any] = {}
    for (path, convert), cell in zip(columns, cells, strict=True):
        if cell is None or cell == "":
            continue
        node = members
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = cell if convert is None else convert(cell)
    device = members.pop("device", None)
    if device is not None:
        members["devices"] = [device]
    return members


def _boolean(cell: Any) -> Any:
    return _BOOLEANS.get(cell.lower(), cell) if isinstance(cell, str) else cell


def _integer(cell: Any) -> Any:
    return int(cell) if isinstance(cell, str) and cell.isdecimal() and len(cell) < 10 else cell


def _list(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    return [part for part in map(str.strip, cell.split(";")) if part]
