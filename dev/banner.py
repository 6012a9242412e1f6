"""What the runner says when it is up. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What is worth saying. key None: it is the one that the person set, which is not repeated."""

    url: str
    key: str | None
    providers: Sequence[str]
    backing: str
    after_s: float


def banner(started: Started) -> str:
    """Where it listens, which key opens it, what is behind it, and a line to try. No provider's key."""
    only_mock = list(started.providers) == ["mock"]
    why = " (no other provider has a key: see .env.example)" if only_mock else ""
    return f"""
Headgate listens at {started.url} (up in {started.after_s:.1f} s)

  Administrator key: {started.key or "the one in HEADGATE_ADMIN_KEY"}
  Providers:         {", ".join(started.providers) or "none"}{why}
  In place of AWS:   {started.backing}

  To try it:         {_line_to_try(started, chats=only_mock)}
  To stop it:        Ctrl-C
"""


def _line_to_try(started: Started, *, chats: bool) -> str:
    curl = f"curl -H 'Authorization: Bearer {started.key}'"
    if started.key is None:
        curl = 'curl -H "Authorization: Bearer $HEADGATE_ADMIN_KEY"'
    if not chats:
        return f"{curl} '{started.url}/v2/models?limit=3'"
    body = '{"model":"mock/echo","messages":[{"role":"user","content":"Hello"}]}'
    return f"{curl} {started.url}/v1/chat/completions -d '{body}'"
