"""What the mail of a broadcast says, by locale: written out apart from what makes it."""

from collections.abc import Mapping

from proof.checker.contents import hash_of_places

_SUBJECT, _OFFER, _LINK = "Sale", "20 percent off everything", "https://example.com/sale"
_WORDS = {"": "See the offer", "de": "Zum Angebot"}
"""By locale, "" for all others."""
_LOCALES = ("en", "de", "fr", "pt-BR")


def of_peers() -> Mapping[str, int]:
    return {
        locale: _hash_of(f'<p>{_OFFER}</p><p><a href="{_LINK}">{words}</a></p>')
        for locale, words in _WORDS.items()
    }


def of_postrider() -> Mapping[str, int]:
    """Its templates have a layout around the words, which names the locale."""
    return {
        locale: _hash_of(
            f'<!doctype html>\n<html lang="{locale}">\n<head><meta charset="utf-8"></head>\n'
            '<body style="font-family: sans-serif; max-width: 36em; margin: 2em auto">\n'
            f'<p>{_OFFER}</p>\n<p><a href="{_LINK}">{_WORDS.get(locale, _WORDS[""])}</a></p>\n'
            "</body>\n</html>"
        )
        for locale in _LOCALES
    }


def _hash_of(html: str) -> int:
    return hash_of_places((_SUBJECT, f"{_OFFER}\n\n{_LINK}", html))
