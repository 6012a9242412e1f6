"""What docs/webhooks.md says is so, and its examples of verifying do."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks import WebhookVerificationError

from headgate.domain.signatures import signed_headers
from headgate.domain.webhooks import EVENTS, GROUPS, secret_text
from headgate.services.deliver_webhook import DeliveryCode, Patience
from headgate.services.manage_webhooks import MOST_PER_USER

PAGE = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.S)
NEW, OLD, OTHER = (secret_text(letter * 32) for letter in (b"n", b"o", b"x"))
BODY = orjson.dumps({"type": "model.added", "data": {"name": "Zoë"}})

type Read = Callable[[str, dict[str, str], bytes], Any]


def _rows(heading: str) -> list[str]:
    """The first cells of the table under it."""
    part = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", part, re.M)


def test_it_lists_every_event_and_group() -> None:
    assert _rows("Events") == list(EVENTS)
    assert all(f"`{group}`" in PAGE for group in GROUPS)


def test_it_lists_every_code_that_a_test_can_have() -> None:
    assert _rows("Trying it out") == [code.value for code in DeliveryCode]


def test_its_numbers_are_those_of_the_code() -> None:
    patience = Patience()
    assert f"{patience.connect_s:g} s, or no answer within {patience.answer_s:g} s more" in PAGE
    assert f"({patience.total_s:g} s in all)" in PAGE
    assert f"within {patience.answer_s:g} seconds" in PAGE
    assert f"at most {MOST_PER_USER} webhooks" in PAGE


@pytest.fixture(params=range(len(EXAMPLES)), ids=["by-library", "alone"])
def read(request: pytest.FixtureRequest) -> Read:
    names: dict[str, Any] = {}
    exec(EXAMPLES[request.param], names)
    found: Read = names["read"]
    return found


def _sent(*, ago: timedelta = timedelta()) -> dict[str, str]:
    at = datetime.now(UTC) - ago
    headers = signed_headers([NEW, OLD], message_id="evt_1", at=at, body=BODY)
    return {name.title(): value for name, value in headers.items()}


def test_an_example_reads_what_is_signed_by_either_secret(read: Read) -> None:
    for secret in (NEW, OLD):
        assert read(secret.reveal(), _sent(), BODY) == orjson.loads(BODY)


def test_an_example_takes_nothing_else(read: Read) -> None:
    sent = _sent()
    forged = {**sent, "Webhook-Signature": "v1," + "A" * 43 + "="}
    for secret, headers, body in (
        (OTHER, sent, BODY),
        (NEW, sent, BODY + b" "),
        (NEW, {**sent, "Webhook-Id": "evt_2"}, BODY),
        (NEW, forged, BODY),
        (NEW, {**sent, "Webhook-Signature": "v1,Zoë"}, BODY),
        (NEW, {**sent, "Webhook-Signature": "v2,"}, BODY),
        (NEW, {**sent, "Webhook-Timestamp": "soon"}, BODY),
        (NEW, {}, BODY),
        (NEW, _sent(ago=timedelta(minutes=6)), BODY),
        (NEW, _sent(ago=timedelta(minutes=-6)), BODY),
    ):
        with pytest.raises((ValueError, WebhookVerificationError)):
            read(secret.reveal(), headers, body)
