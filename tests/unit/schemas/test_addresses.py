import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import addresses


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann.Lee+shop@Example.COM", "Ann.Lee+shop@example.com"),  # the local part is theirs
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER。example", "ann@xn--bcher-kva.example"),
        ("anna@straße.de", "anna@xn--strae-oqa.de"),  # strasse.de is somebody else's
        ("anna@βόλος.gr", "anna@xn--nxasmm1c.gr"),  # and so is βόλοσ.gr
        ("ann@نامه\u200cای.example", "ann@xn--mgba3gch31f060k.example"),
        ("ann@xn--strae-oqa.de", "ann@xn--strae-oqa.de"),
        ("o'hara@mail.example.co.uk", "o'hara@mail.example.co.uk"),
    ],
)
def test_a_mailbox_keeps_its_local_part_and_gets_a_plain_domain(text: str, kept: str) -> None:
    assert addresses.normal_email(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "", "ann", "@example.com", "ann@", "ann@localhost", "ann@@example.com",
        ".ann@example.com", "ann..lee@example.com", "ann lee@example.com", "ann@-example.com",
        "ann@example..com", "ann@10.0.0.1", "jürgen@example.com", "ann@example.com\n",
        "ann@example.com\r\nBcc: all@example.com", "Ann <ann@example.com>",
        "a" * 65 + "@example.com", "ann@" + "a" * 64 + ".com", "ann@" + "é" * 70 + ".com",
        "ann@é..com", "ann@.é.com", "ann@☃.com", "ann@a\u200cb.com",
    ],
)  # fmt: skip
def test_what_no_mail_server_takes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not an e-mail address$"):
        addresses.normal_email(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("+491711234567", "+491711234567"),
        ("+1 (202) 555-0123", "+12025550123"),
        ("+44 (0)20 7946 0958", "+442079460958"),  # a trunk prefix written out
        ("+4402079460958", "+442079460958"),  # ... and hidden in digits
        ("+390236618300", "+390236618300"),  # Italy's zero belongs to the number
    ],
)
def test_a_number_is_kept_as_e164(text: str, kept: str) -> None:
    assert addresses.normal_phone(text) == kept


@pytest.mark.parametrize(
    "text",
    ["", "5550100", "01711234567", "+", "+12", "+1202555012345", "+999123456789", "++4917112345",
     "+49171123x567", "+12025550123 ext. 5", "tel:+12025550123", "+1800FLOWERS", "+٤٩١٧١١٢٣٤٥٦٧"],
)  # fmt: skip
def test_what_is_no_number_of_any_country_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a p"):
        addresses.normal_phone(text)


@settings(deadline=None)
@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_the_short_cut_for_numbers_agrees_with_the_library(text: str) -> None:
    number = None
    try:
        number = phonenumbers.parse(text)
        reason = phonenumbers.is_possible_number_with_reason(number)
        is_possible = reason == phonenumbers.ValidationResult.IS_POSSIBLE
    except phonenumbers.NumberParseException:
        is_possible = False

    if number is not None and is_possible:
        expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        assert addresses.normal_phone(text) == expected
    else:
        with pytest.raises(ValueError, match=r"^not a p"):
            addresses.normal_phone(text)


def test_zones_are_those_of_the_installed_database() -> None:
    assert addresses.known_timezone("America/Argentina/Buenos_Aires")
    assert len(addresses.timezones()) > 400

    for unknown in ("", "europe/berlin", "Mars/Olympus", "../etc/passwd", "Europe/Berlin "):
        with pytest.raises(ValueError, match=r"^not an IANA time zone"):
            addresses.known_timezone(unknown)


def test_a_locale_is_told_with_hyphens() -> None:
    assert addresses.normal_locale("pt_BR") == "pt-BR"

    for unknown in ("", "p", "portuguese", "pt-", "pt--BR", "pt-BR!", "en" + "-abcdefgh" * 5):
        with pytest.raises(ValueError, match=r"^not a locale"):
            addresses.normal_locale(unknown)


def test_quiet_hours_have_two_different_ends() -> None:
    assert addresses.valid_quiet_hours("23:00-07:00") == "23:00-07:00"

    for wrong in ("", "23:00", "24:00-07:00", "23:60-07:00", "7:00-9:00", "07:00-07:00",
                  "23:00–07:00", "23:00-07:00 ", "٢٣:00-07:00"):  # fmt: skip
        with pytest.raises(ValueError, match=r"^not quiet hours"):
            addresses.valid_quiet_hours(wrong)
