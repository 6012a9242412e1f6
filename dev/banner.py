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
    providers = ", ".join(started.providers) or "none"
    if list(started.providers) == ["mock"]:
        providers = "mock (no provider has a key: see .env.example)"
    key = started.key or "the one in HEADGATE_ADMIN_KEY"
    shown = started.key or "$HEADGATE_ADMIN_KEY"
    return f"""
Headgate listens at {started.url} (up in {started.after_s:.1f} s)

  Administrator key: {key}
  Providers:         {providers}
  In place of AWS:   {started.backing}

  Try it:            curl -H "Authorization: Bearer {shown}" {started.url}/v2/models?limit=3
  Stop it:           Ctrl-C
"""
