import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas import ids
from schemas.report import ProviderReport

DELIVERY = {
    "notification_id": ids.to_text(b"n" * 16),
    "delivery_id": ids.to_text(b"d" * 16),
    "user_id": "ann",
    "type": "order_confirmed",
    "category": "transactional",
}


def parsed(**changes: Any) -> ProviderReport:
    head = {"provider": "twilio", "channel": "sms", "status": "delivered", "event_id": "SM1:1"}
    value = head | {"occurred_at": "2026-03-01T12:00:00Z"} | changes
    return ProviderReport.model_validate_json(json.dumps(value))


def test_a_report_is_about_a_delivery_or_an_address_or_both() -> None:
    of_delivery = parsed(delivery=DELIVERY)

    assert of_delivery.delivery is not None
    assert (of_delivery.delivery.attempt, of_delivery.delivery.round) == (1, 0)
    assert parsed(status="opted_out", address="+12025550123").delivery is None
    assert parsed(delivery=DELIVERY, address="+12025550123").address == "+12025550123"
    with pytest.raises(ValidationError, match="A delivery or an address should be given"):
        parsed()


@pytest.mark.parametrize(
    "wrong",
    [{"status": "sent"}, {"channel": "fax"}, {"event_id": ""}, {"delivery": {"user_id": "ann"}}],
    ids=str,
)
def test_a_malformed_report_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        parsed(**{"address": "+12025550123"} | wrong)
