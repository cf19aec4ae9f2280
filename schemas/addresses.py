"""How people can be reached and where they live, in the one spelling that is kept.

Each function returns the normal form or raises ValueError with a text that does not repeat
the value, since it ends in logs and dead letters.
"""

import re
from functools import lru_cache
from importlib.resources import files
from typing import Annotated

import idna
import phonenumbers
from pydantic import AfterValidator, Field

_LOCAL_PART = re.compile(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_WRITTEN = re.compile(r"\+[0-9 ().-]{7,38}")
"""How people write numbers; the library alone would also take letters, URIs and extensions."""
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_QUIET_HOURS = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]")


def normal_email(text: str) -> str:
    """With its domain in lower case and ASCII, as IDNA 2008 and UTS 46 write it.

    A local part outside of ASCII is refused: no provider here carries it. So is a domain that only
    an older standard allows, such as a snowman's: its owner's mail must not reach anybody else.
    """
    local, at, domain = text.rpartition("@")
    if not domain.isascii():
        try:
            # Python's own codec is of 2003: it writes straße.de as strasse.de, which others may own.
            domain = idna.encode(domain, uts46=True).decode()
        except UnicodeError:
            domain = ""
    domain = domain.lower()
    if (
        not at
        or len(local) > 64
        or len(local) + len(domain) > 253
        or _LOCAL_PART.fullmatch(local) is None
        or _DOMAIN.fullmatch(domain) is None
    ):
        raise ValueError("not an e-mail address")
    return f"{local}@{domain}"


def normal_phone(text: str) -> str:
    """E.164: `+`, country code, number; spaces, hyphens and brackets are dropped."""
    if _E164.fullmatch(text) is not None and _is_plainly_possible(text):
        return text
    if _WRITTEN.fullmatch(text) is None:
        raise ValueError("not a phone number in E.164 form, such as +15550100123")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as error:
        raise ValueError("not a phone number of any country") from error
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("not a possible phone number of its country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_plainly_possible(e164: str) -> bool:
    """What the library finds in 30 us a number, for the many that need none of its care."""
    for digits in (1, 2, 3):
        plan = _numbering_plan(e164[1 : 1 + digits])
        if plan is not None:
            lengths, national_prefix = plan
            national = e164[1 + digits :]
            # A leading trunk prefix may or may not belong to the number: the library knows.
            return len(national) in lengths and not (
                national_prefix and national.startswith(national_prefix)
            )
    return False


@lru_cache(maxsize=1200)  # country codes have one to three digits
def _numbering_plan(country_code: str) -> tuple[frozenset[int], str] | None:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(country_code))
    if regions is None:
        return None
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(
        int(country_code), regions[0]
    )
    if metadata is None or metadata.general_desc is None:
        return None
    return frozenset(metadata.general_desc.possible_length), metadata.national_prefix or ""


@lru_cache(maxsize=1)
def timezones() -> frozenset[str]:
    """Names of the zone database that is installed with us, so every machine knows the same."""
    return frozenset(files("tzdata").joinpath("zones").read_text("ascii").split())


def known_timezone(text: str) -> str:
    if text not in timezones():
        raise ValueError("not an IANA time zone, such as Europe/Berlin")
    return text


def normal_locale(text: str) -> str:
    """BCP 47 with hyphens: `pt-BR`."""
    if len(text) > 35 or _LOCALE.fullmatch(text) is None:
        raise ValueError("not a locale, such as pt-BR")
    return text.replace("_", "-")


def valid_quiet_hours(text: str) -> str:
    """`23:00-07:00`; the start is inside, the end is not, so they differ."""
    if _QUIET_HOURS.fullmatch(text) is None or text[:5] == text[6:]:
        raise ValueError("not quiet hours, such as 23:00-07:00")
    return text


Email = Annotated[str, Field(max_length=254), AfterValidator(normal_email)]
Phone = Annotated[str, Field(max_length=40), AfterValidator(normal_phone)]
Timezone = Annotated[str, Field(max_length=64), AfterValidator(known_timezone)]
Locale = Annotated[str, Field(max_length=35), AfterValidator(normal_locale)]
QuietHours = Annotated[str, Field(max_length=11), AfterValidator(valid_quiet_hours)]
