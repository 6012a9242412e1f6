"""How what is sent to a webhook is signed: Standard Webhooks, by HMAC-SHA256. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (2026-11-21)
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

from headgate.domain.secret import Secret
from headgate.domain.webhooks import SECRET_PREFIX


def signature_of(secret: Secret, signed: bytes) -> str:
    """`v1,` and base64. secret: `whsec_…`, as its receiver has it. Raises ValueError for any other text."""
    text = secret.reveal()
    if not text.startswith(SECRET_PREFIX):
        raise ValueError("no secret of a webhook")
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("no secret of a webhook") from None  # not chained: nothing of it is told
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(
    secrets: Sequence[Secret], *, message_id: str, at: datetime, body: bytes
) -> Mapping[str, str]:
    """The three headers that tell a receiver who sent these bytes, and when. Raises ValueError.

    message_id: the same each time that a message is sent; without a dot, which parts what is signed. at: when
    it is sent this time. secrets: a signature by each, in this order; one that verifies is enough.
    """
    if "." in message_id:
        raise ValueError("a message's id holds no dot")
    at_s = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), at_s.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": at_s,
        "webhook-signature": " ".join(signature_of(secret, signed) for secret in secrets),
    }
