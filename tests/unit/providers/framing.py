"""AWS event streams as a server writes them: for tests alone, so that reader and writer share no code."""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message with headers that are all texts."""
    head = b"".join(
        bytes([len(name.encode())])
        + name.encode()
        + b"\x07"
        + struct.pack(">H", len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    return raw_frame(head, payload)


def raw_frame(head: bytes, payload: bytes) -> bytes:
    """One message around headers that are bytes already."""
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(kind: str, told: Any) -> bytes:
    """An event as Bedrock sends it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(told, separators=(",", ":")).encode())


def exception(kind: str, message: str) -> bytes:
    """A failure within a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())


def answer(*deltas: Mapping[str, Any], stop: str = "end_turn") -> bytes:
    """A whole stream whose one block has these deltas."""
    return b"".join(
        [
            event("messageStart", {"role": "assistant"}),
            *(event("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}) for delta in deltas),
            event("contentBlockStop", {"contentBlockIndex": 0}),
            event("messageStop", {"stopReason": stop}),
            event("metadata", {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}}),
        ]
    )
