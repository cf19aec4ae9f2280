"""`IdForm`: a text with blanks for ids, filled in for many rows at once."""

from binascii import hexlify
from collections.abc import Sequence

from schemas.ids import to_text

BLANK = b"\0"
"""Stands for an id; no JSON holds it."""

_NIL = b"00000000-0000-0000-0000-000000000000"
_DIGITS = [place for place, sign in enumerate(_NIL) if sign != ord("-")]
_FEW = 12
"""So many rows are filled in sooner one by one: a single mail is one."""


class IdForm:
    """A broadcast writes millions of ids, and to make each a text of its own takes longer than all else
    of its row: so digit after digit is written, each to all rows."""

    __slots__ = ("_format", "_places", "_text")

    def __init__(self, text: bytes) -> None:
        """With `BLANK` where an id goes."""
        self._text = text.replace(BLANK, _NIL)
        self._format = text.replace(b"%", b"%%").replace(BLANK, b"%b")
        self._places: list[int] = []
        at = -len(_NIL)
        for piece in text.split(BLANK)[:-1]:
            at += len(_NIL) + len(piece)
            self._places.append(at)

    def filled(self, *columns: Sequence[bytes]) -> list[bytes]:
        """A text for each row, with its ids in canonical UUID text. A column for each blank."""
        if len(columns[0]) < _FEW:
            rows_of_ids = zip(*columns, strict=True)
            return [
                self._format % tuple(to_text(each).encode() for each in ids) for ids in rows_of_ids
            ]
        size = len(self._text)
        rows = bytearray(self._text * len(columns[0]))
        for place, column in zip(self._places, columns, strict=True):
            digits = hexlify(b"".join(column))
            for number, digit in enumerate(_DIGITS):
                rows[place + digit :: size] = digits[number :: len(_DIGITS)]
        filled = bytes(rows)
        return [filled[at : at + size] for at in range(0, len(filled), size)]
