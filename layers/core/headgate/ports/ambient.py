"""What every function stands on: time, a log, the platform's keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from headgate.domain.secret import Secret


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time, UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring."""
        ...


class SecretStore(Protocol):
    """Platform keys: `headgate/<slug>` in Secrets Manager, a JSON object or the bare key."""

    async def get(self, slug: str) -> Mapping[str, Secret] | None:
        """The fields of a provider's secret (`api_key`, `base_url`, …); None when there is no secret."""
        ...


class Log(Protocol):
    """One structured event per outcome; values never hold a secret or a prompt."""

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None: ...

    def error(self, event: str, **fields: Any) -> None: ...
