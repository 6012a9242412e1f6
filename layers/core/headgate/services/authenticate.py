"""Who is calling: a key's hash, looked up once a minute per process; or a token of the identity provider."""

from collections import OrderedDict

from headgate.domain.callers import KEY_PREFIX, ApiKey, Caller, caller_of, hash_key
from headgate.domain.errors import AccessDenied
from headgate.ports import Clock, KeyStore
from headgate.services.oidc import TokenVerifier

_UNKNOWN_S = 5.0
_MOST = 10_000
_LONGEST = 256


class Authenticator:
    """Keys by hash, cached for `cache_s` seconds (at most 60, the promise for a revoked key to be dead).

    tokens: who tells the callers of tokens; None where none are taken.
    """

    def __init__(
        self,
        accounts: KeyStore,
        clock: Clock,
        *,
        cache_s: float,
        tokens: TokenVerifier | None = None,
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        self._cache_s = min(60.0, cache_s)
        self._tokens = tokens
        self._cache: OrderedDict[str, tuple[float, ApiKey | None, Caller | None]] = OrderedDict()

    async def caller(self, key: str | None) -> Caller:
        """The caller of this key or token.

        Raises AccessDenied (`unauthenticated`) when there is none or it is proved bad, and whatever the store
        raises when that can't be told.
        """
        if not key:
            raise AccessDenied(
                "Give a key: Authorization: Bearer hg_… or x-api-key: hg_….", code="unauthenticated"
            )
        if self._tokens is not None and not key.startswith(KEY_PREFIX) and self._tokens.takes(key):
            return await self._tokens.caller(key)
        if len(key) > _LONGEST or not key.isascii():
            raise _bad_key()
        found, caller = await self._look_up(hash_key(key))
        if found is None or caller is None or not found.is_live(self._clock.now()):
            raise _bad_key()
        return caller

    async def _look_up(self, key_hash: str) -> tuple[ApiKey | None, Caller | None]:
        now_s = self._clock.monotonic()
        cached = self._cache.get(key_hash)
        if cached is not None and now_s < cached[0]:
            return cached[1], cached[2]
        found = await self._accounts.get_key(key_hash)
        caller = None if found is None else caller_of(found)
        keep_s = self._cache_s if found is not None else min(_UNKNOWN_S, self._cache_s)
        self._cache[key_hash] = (now_s + keep_s, found, caller)
        self._cache.move_to_end(key_hash)
        while len(self._cache) > _MOST:
            self._cache.popitem(last=False)
        return found, caller


def _bad_key() -> AccessDenied:
    return AccessDenied("This key is unknown, expired or revoked.", code="unauthenticated")
