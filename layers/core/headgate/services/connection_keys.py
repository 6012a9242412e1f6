"""How a user's own connection reaches its provider: its key unsealed, its address guarded."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from headgate.domain.connections import Connection, key_context
from headgate.domain.errors import ProviderRefused
from headgate.domain.generation import KeyOpening, Opened
from headgate.domain.secret import Secret
from headgate.ports import Clock, KeyVault, Unsealable
from headgate.providers.base import ProviderConfig
from headgate.settings import Settings

OnOpening = Callable[[KeyOpening], None]
"""Takes each decryption that is made for a request, also one that is refused: it goes to the audit log."""

_MOST_KEPT = 1_000
_LONGEST_KEPT_S = 300.0


@dataclass(slots=True)
class _Kept:
    until_s: float
    key: Secret


class ConnectionKeys:
    """Configurations of connections. A plaintext key stays in this process for at most five minutes.

    For one event loop. What is kept is found by ciphertext and context together: a row that was moved finds
    nothing, and is refused by the vault.
    """

    def __init__(self, vault: KeyVault, clock: Clock, settings: Settings) -> None:
        self._vault = vault
        self._clock = clock
        self._settings = settings
        self._keep_s = min(_LONGEST_KEPT_S, settings.secret_cache_s)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._unsealing: dict[str, asyncio.Lock] = {}

    async def config(self, connection: Connection, on_opening: OnOpening) -> ProviderConfig:
        """What `ProviderRegistry.bind` takes for it. on_opening: called by whoever asks the vault, not by
        those who find the key in memory, or who wait while another asks.

        Raises ProviderRefused (`provider_auth`, naming the connection) when its key can't be unsealed.
        """
        longest_s = self._settings.request_timeout_s
        sealed = connection.sealed
        return ProviderConfig(
            api_key=None if sealed is None else await self._key(connection, sealed, on_opening),
            base_url=connection.base_url,
            timeout_s=min(longest_s, connection.timeout_s or longest_s),
            first_byte_timeout_s=self._settings.first_byte_timeout_s,
            idle_timeout_s=self._settings.idle_timeout_s,
            max_retries=connection.max_retries,
            guarded=connection.base_url is not None,
            metadata=connection.metadata,
        )

    def forget(self) -> None:
        """No plaintext is left; the next use unseals anew."""
        self._kept.clear()

    async def _key(self, connection: Connection, sealed: bytes, on_opening: OnOpening) -> Secret:
        name = _name_of(connection, sealed)
        found = self._find(name)
        if found is not None:
            return found
        # Of any number of requests at once, one asks the vault.
        lock = self._unsealing.setdefault(name, asyncio.Lock())
        try:
            async with lock:
                found = self._find(name)
                if found is None:
                    found = await self._unseal(connection, sealed, on_opening)
                    self._keep(name, found)
                return found
        finally:
            self._unsealing.pop(name, None)

    async def _unseal(self, connection: Connection, sealed: bytes, on_opening: OnOpening) -> Secret:
        at = self._clock.now()
        outcome: Opened = "unknown"
        try:
            key = await self._vault.unseal(sealed, key_context(connection))
            outcome = "ok"
        except Unsealable as bad:
            outcome = "refused"
            raise ProviderRefused(
                f"The key of the connection {connection.id} ({connection.name}) can't be opened for this "
                f"provider and address. Store it again.",
                provider=connection.type,
                members={"connection_id": connection.id},
            ) from bad
        finally:  # also where whoever asked is gone before the answer
            on_opening(
                KeyOpening(connection_id=connection.id, provider=connection.type, at=at, outcome=outcome)
            )
        return key

    def _keep(self, name: str, key: Secret) -> None:
        self._kept[name] = _Kept(self._clock.monotonic() + self._keep_s, key)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def _find(self, name: str) -> Secret | None:
        kept = self._kept.get(name)
        if kept is None:
            return None
        if self._clock.monotonic() < kept.until_s:
            return kept.key
        del self._kept[name]
        return None


def _name_of(connection: Connection, sealed: bytes) -> str:
    context = orjson.dumps(key_context(connection), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(context + b"\n" + sealed).hexdigest()
