"""Minting, listing and revoking API keys."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from headgate.domain.callers import ApiKey, Caller, KeyLimits, Scope, hash_key, new_key_text
from headgate.domain.errors import InvalidRequest, NotFound
from headgate.domain.ids import new_id
from headgate.domain.secret import Secret
from headgate.ports import AccountStore, Clock, Log

ALL_SCOPES = frozenset(Scope)


class KeyManager:
    """Keys of all users. The text of a key is given once, when it is made."""

    def __init__(self, accounts: AccountStore, clock: Clock, log: Log) -> None:
        self._accounts = accounts
        self._clock = clock
        self._log = log

    async def mint(
        self,
        *,
        user_id: str,
        name: str,
        scopes: Iterable[Scope],
        project_id: str | None = None,
        expires_at: datetime | None = None,
        allowed_models: tuple[str, ...] | None = None,
        limits: KeyLimits = KeyLimits(),
        text: Secret | None = None,
    ) -> tuple[ApiKey, Secret]:
        """A stored key and its text. `text` is given only for a key that someone chose (local runner)."""
        plain = text or Secret(new_key_text())
        now = self._clock.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidRequest.of_field("expires_at", "is in the past.")
        key = ApiKey(
            id=new_id("key"),
            hash=hash_key(plain.reveal()),
            user_id=user_id,
            name=name,
            scopes=frozenset(scopes),
            created_at=now,
            hint=plain.hint,
            project_id=project_id,
            expires_at=expires_at,
            allowed_models=allowed_models,
            limits=limits,
        )
        await self._accounts.put_key(key)
        self._log.info("key.minted", key_id=key.id, user_id=user_id, scopes=sorted(key.scopes))
        return key, plain

    async def mint_admin(
        self, *, user_id: str, name: str, text: Secret | None = None
    ) -> tuple[ApiKey, Secret]:
        """A key with every scope: for whoever may invoke the function, or runs it locally."""
        return await self.mint(user_id=user_id, name=name, scopes=ALL_SCOPES, text=text)

    async def find(self, caller: Caller, key_id: str) -> ApiKey:
        """A key by id. Raises NotFound for another user's, unless the caller is an administrator."""
        key = await self._accounts.get_key_by_id(key_id)
        if key is None or not (caller.is_admin or key.user_id == caller.user_id):
            raise NotFound(f"There is no key {key_id}.")
        return key

    async def list(
        self, caller: Caller, *, user_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[ApiKey], str | None]:
        """Newest first: a caller's own; for an administrator those of `user_id`, or all."""
        owner = user_id if caller.is_admin else caller.user_id
        return await self._accounts.list_keys(user_id=owner, limit=limit, cursor=cursor)

    async def revoke(self, caller: Caller, key_id: str) -> None:
        """Dead everywhere within the key cache's time. Revoking twice is fine."""
        key = await self.find(caller, key_id)
        if key.revoked_at is None:
            await self._accounts.put_key(replace(key, revoked_at=self._clock.now()))
            self._log.info("key.revoked", key_id=key.id, by=caller.key_id)
