"""Signatures that any receiver of Standard Webhooks verifies, and no other message has."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Receiver

from headgate.domain.secret import Secret
from headgate.domain.signatures import signature_of, signed_headers
from headgate.domain.webhooks import secret_text

SECRETS = st.binary(min_size=24, max_size=64).map(secret_text)
MOMENTS = st.floats(1.6e9, 4.1e9).map(lambda at_s: datetime.fromtimestamp(at_s, UTC))
IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=40)


@given(SECRETS, MOMENTS, IDS, st.text(max_size=200).map(str.encode))
def test_a_receiver_computes_the_same_signature(
    secret: Secret, at: datetime, message_id: str, body: bytes
) -> None:
    headers = signed_headers([secret], message_id=message_id, at=at, body=body)
    expected = Receiver(secret.reveal()).sign(message_id, at, body.decode())
    assert headers == {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": expected,
    }


NOW = datetime(2026, 11, 21, tzinfo=UTC)


@given(st.lists(SECRETS, min_size=1, max_size=3, unique=True))
def test_whoever_has_one_of_the_secrets_verifies(secrets: list[Secret]) -> None:
    now = datetime.now(UTC)  # the receiver goes by its own clock
    headers = dict(signed_headers(secrets, message_id="evt_1", at=now, body=b'{"a":1}'))
    for secret in secrets:
        assert Receiver(secret.reveal()).verify(b'{"a":1}', headers) == {"a": 1}
    assert len(headers["webhook-signature"].split(" ")) == len(secrets)


def test_time_id_and_body_are_each_signed() -> None:
    secret = secret_text(bytes(32))
    late = NOW.replace(year=NOW.year + 1, month=1, day=1)
    made = {
        signed_headers([secret], message_id=message_id, at=at, body=body)["webhook-signature"]
        for message_id, at, body in (
            ("evt_1", NOW, b"{}"),
            ("evt_2", NOW, b"{}"),
            ("evt_1", late, b"{}"),
            ("evt_1", NOW, b"{ }"),
        )
    }
    assert len(made) == 4


def test_an_id_with_a_dot_could_stand_for_another_message_and_is_refused() -> None:
    with pytest.raises(ValueError, match="dot"):
        signed_headers([secret_text(bytes(32))], message_id="evt.1", at=NOW, body=b"{}")


@pytest.mark.parametrize("text", ["", "whsec_***", "whsec_ab", base64.b64encode(bytes(32)).decode(), "sk-x"])
def test_what_is_no_secret_signs_nothing_and_is_not_told(text: str) -> None:
    with pytest.raises(ValueError, match="no secret") as caught:
        signature_of(Secret(text), b"x")
    assert caught.value.__cause__ is None
    assert not text or text not in str(caught.value)
