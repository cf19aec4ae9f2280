import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.recipient import (
    RECIPIENT_CHANGE,
    DeviceRegistered,
    PreferencesUpdated,
    RecipientUpdated,
)
from schemas.recipient_events import (
    AddressBarred,
    AddressClaimed,
    AddressEvent,
    AddressGivenUp,
    AddressUnbarred,
    DerivedChange,
    DeviceLost,
    HolderBarred,
    HolderUnbarred,
    ImportBatch,
    ImportedDevice,
    ImportedOptOut,
    ImportedRecipient,
    ImportedWish,
    decode_address_events,
    decode_derived,
    decode_import,
    encode_address_events,
    encode_derived,
    encode_import,
)
from tests.unit.schemas.inbound import change

PREFERENCES = {
    "push": {"enabled": True, "quiet_hours": "23:00-07:00"},
    "email": {"enabled": True, "daily_limit": 3},
    "sms": {"enabled": False},
    "types": {"promotion": False},
}


def parsed(value: dict[str, Any]) -> Any:
    return RECIPIENT_CHANGE.validate_json(json.dumps(value))


@pytest.mark.parametrize(
    "value",
    [
        change("recipient_updated", email="ann@example.com", timezone="Europe/Berlin"),
        change("recipient_deleted"),
        change("preferences_updated", preferences=PREFERENCES),
        change("device_registered", device_id="d1", token="t0k:en", platform="ios"),
        change("device_removed", device_id="d1"),
        change("audience_joined", audience="fans"),
        change("audience_left", audience="fans"),
        change("address_suppressed", channel="sms", reason="operator"),
        change("address_suppressed", channel="sms", reason="x", until="2026-04-01T00:00:00Z"),
        change("address_released", channel="sms", tenant="shop"),
    ],
    ids=lambda value: value["change"],
)
def test_each_change_is_known_by_its_tag(value: dict[str, Any]) -> None:
    assert parsed(value).change == value["change"]
    assert parsed(value).occurred_ms == 1_772_366_400_000


def test_preferences_have_the_published_shape() -> None:
    said = parsed(change("preferences_updated", preferences=PREFERENCES))

    assert isinstance(said, PreferencesUpdated)
    assert [(channel, wish.enabled) for channel, wish in said.preferences.by_channel()] == [
        ("push", True),
        ("email", True),
        ("sms", False),
    ]
    assert said.preferences.push is not None
    assert said.preferences.push.quiet_hours == "23:00-07:00"
    assert said.preferences.types == {"promotion": False}


def test_taking_a_value_back_is_told_from_not_speaking_of_it() -> None:
    said = parsed(change("recipient_updated", phone=None))

    assert isinstance(said, RecipientUpdated)
    assert said.phone is said.email is None
    assert "phone" in said.model_fields_set
    assert "email" not in said.model_fields_set


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (change("recipient_updated", timezone="Mars/Olympus"), "timezone"),
        (change("recipient_updated", phone="12"), "phone"),
        (change("recipient_updated", email="ann"), "email"),
        (change("recipient_updated", name="a\u0000b"), "name"),
        (change("recipient_updated", fax="1"), "fax"),
        (change("recipient_updated", occurred_at="2026-03-01T12:00:00"), "occurred_at"),
        (change("recipient_updated", source="robot"), "source"),
        (change("device_registered", device_id="d", platform="ios", token=""), "token"),
        (change("device_registered", device_id="d", platform="ios", token="a b"), "token"),
        (change("device_registered", device_id="d", platform="fridge", token="t"), "platform"),
        (change("address_suppressed", channel="fax", reason="x"), "channel"),
        (
            change("preferences_updated", preferences={"push": {"quiet_hours": "23-7"}}),
            "preferences.push.quiet_hours",
        ),
        (
            change("preferences_updated", preferences={"email": {"daily_limit": -1}}),
            "preferences.email.daily_limit",
        ),
        (
            change("preferences_updated", preferences={"sms": {"enabled": "no"}}),
            "preferences.sms.enabled",
        ),
        (change("preferences_updated", preferences={"fax": {}}), "preferences.fax"),
        (
            change("preferences_updated", preferences={"types": {"promotion": {}}}),
            "preferences.types.promotion",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_change_is_refused_by_the_path_of_its_field(
    value: dict[str, Any], path: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        parsed(value)

    paths = [".".join(str(part) for part in error["loc"]) for error in refused.value.errors()]
    assert paths == [f"{value['change']}.{path}"]


def test_a_token_is_kept_as_it_came() -> None:
    said = parsed(
        change("device_registered", device_id="d", platform="android", token="APA91b:x_-")
    )

    assert isinstance(said, DeviceRegistered)
    assert said.token == "APA91b:x_-"


def test_internal_events_survive_their_bytes() -> None:
    events: list[AddressEvent] = [
        AddressClaimed(b"h" * 16, "push", 1, 2, "ann", "d1"),
        AddressGivenUp(b"h" * 16, "push", 1, 2, "ann", "d1"),
        AddressBarred(b"h" * 16, "sms", 1, 2, "stop"),
        AddressUnbarred(b"h" * 16, "sms", 1, 2),
    ]
    derived: list[DerivedChange] = [
        DeviceLost("ann", 1, "d1", b"h" * 16, "taken_over"),
        ImportedOptOut("ann", 1, channel="sms"),
        HolderBarred("ann", 1, "sms", b"h" * 16, "stop"),
        HolderUnbarred("ann", 1, "sms", b"h" * 16),
    ]
    batch = ImportBatch(
        [
            ImportedRecipient(
                "ann", 1, email="ann@example.com", wishes=(ImportedWish("sms", enabled=False),),
                types={"promotion": False}, audiences=("fans",),
                devices=(ImportedDevice("d1", "token", "ios"),),
            )
        ]
    )  # fmt: skip

    assert decode_address_events(encode_address_events(events)) == events
    assert decode_derived(encode_derived(derived)) == derived
    assert decode_import(encode_import(batch)) == batch
