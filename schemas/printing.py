"""Text that somebody else chose, made safe to print."""


def printable(text: str, *, keep: str = "") -> str:
    """Characters that do not print, but those of `keep`, are shown as Python writes them: on a
    terminal they could hide a line, or write one that we never said."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in text
    )
