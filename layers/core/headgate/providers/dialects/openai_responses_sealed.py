"""Thoughts of other dialects, sealed as `encrypted_content`, which clients give back unread. Pure.

Anthropic and Gemini refuse a turn whose signed thoughts did not come back with it, and a Responses client
gives back only what its dialect has a place for. What is sealed names who signed it, so that it is opened for
that dialect alone; a provider that speaks Responses itself never gets it.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.providers.dialects.openai_answers import AnswerError, read_json, write_json

_PREFIX = "headgate."
FOREIGN_ID = "rs_hg_"
"""How ids of thoughts begin that were not made by a provider of this dialect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What another dialect wants back. call_id: of the tool call that a signature belongs to, if it is one's.

    origin is unknown for a call's signature. id: the thought's own, where it had one.
    """

    origin: str | None = None
    signature: str | None = None
    redacted: str | None = None
    call_id: str | None = None
    id: str | None = None


def seal(value: Seal) -> str:
    """Opaque text, fit for JSON."""
    members = [value.origin, value.signature, value.redacted, value.call_id, value.id]
    return _PREFIX + base64.urlsafe_b64encode(write_json(members)).decode()


def unseal(text: str) -> Seal | None:
    """What was sealed; None for anything that we did not seal."""
    if not text.startswith(_PREFIX):
        return None
    try:
        members = read_json(base64.urlsafe_b64decode(text[len(_PREFIX) :]))
    except (AnswerError, binascii.Error, ValueError):
        return None
    if not isinstance(members, list) or len(members) != len(Seal.__slots__):
        return None
    if not all(member is None or isinstance(member, str) for member in members):
        return None
    origin, signature, redacted, call_id, thought_id = members
    return Seal(origin=origin, signature=signature, redacted=redacted, call_id=call_id, id=thought_id)


def is_foreign(item: Any) -> bool:
    """Whether an input item is a thought of another dialect, in the clothes that we gave it."""
    if not isinstance(item, Mapping) or item.get("type") != "reasoning":
        return False
    item_id, sealed = item.get("id"), item.get("encrypted_content")
    ours = isinstance(item_id, str) and item_id.startswith(FOREIGN_ID)
    return ours or (isinstance(sealed, str) and sealed.startswith(_PREFIX))
