"""What came in place of a stream, told by the type it says it has."""

import re

from headgate.domain.errors import HeadgateError, ProviderFailed

STREAM_TYPES = frozenset({"text/event-stream", "application/vnd.amazon.eventstream"})
"""Of streams; others are read too, as some servers label theirs carelessly, but named if they are none."""
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)


def as_what_came(failure: HeadgateError, content_type: str) -> HeadgateError:
    """The failure of a stream that could not be read from its start: by its type, if that is no stream's."""
    kind = content_type.partition(";")[0].strip().lower()
    if failure.code != "provider_protocol" or kind in STREAM_TYPES or not _MEDIA_TYPE.fullmatch(kind):
        return failure
    return ProviderFailed(
        f"It answered with {kind} where a stream was due.",
        code="provider_protocol",
        provider=failure.provider,
        may_have_run=True,
    )
