"""Minting, listing, rotating and revoking API keys."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from headgate.domain.callers import ApiKey, Caller, KeyLimits, Scope, hash_key, new_key_text
from headgate.domain.errors import Conflict, InvalidRequest, NotFound
from headgate.domain.secret import Secret
from headgate.ports import AccountStore, Clock, Log
from headgate.services.acts import Act

ALL_SCOPES = frozenset(Scope)
DEFAULT_GRACE_S = 3600
MAX_GRACE_S = 7 * 24 * 3600
_TRIES = 5


class KeyManager:
    """Keys of all users. The text of a key is given once, when it is made.

    The text follows from the act's seed, so an act that is repeated gives the same key.
    """

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
        act: Act | None = None,
    ) -> tuple[ApiKey, Secret]:
        """A stored key and its text. `text` is given only for a key that someone chose (local runner), `act`
        unless the function acts by itself."""
        act = act or Act(actor="accounts", at=self._clock.now())
        if expires_at is not None and expires_at <= act.at:
            raise InvalidRequest.of_field("expires_at", "is in the past.")
        plain = text or key_text_of(act)
        key = ApiKey(
            id=act.new_id("key"),
            hash=hash_key(plain.reveal()),
            user_id=user_id,
            name=name,
            scopes=frozenset(scopes),
            created_at=act.at,
            hint=plain.hint,
            project_id=project_id,
            expires_at=expires_at,
            allowed_models=allowed_models,
            limits=limits,
        )
        told = act.event("key.mint", key.id, user_id=user_id, name=name, scopes=" ".join(sorted(key.scopes)))
        await self._accounts.put_key(key, told)
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
            raise NotFound(f"There is no key {key_id[:80]}.")
        return key

    async def list(
        self, caller: Caller, *, user_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[ApiKey], str | None]:
        """Newest first: a caller's own; for an administrator those of `user_id`, or all.

        Raises AccessDenied to others who ask for another's.
        """
        caller.may_ask_of(user_id)
        owner = user_id if caller.is_admin else caller.user_id
        return await self._accounts.list_keys(user_id=owner, limit=limit, cursor=cursor)

    async def rotate(
        self, caller: Caller, key_id: str, act: Act, *, grace_s: int = DEFAULT_GRACE_S
    ) -> tuple[ApiKey, Secret]:
        """The key under a new text. The old one works for `grace_s` more; one that was replaced before it, no
        longer: a key has two texts at most. Its id, limits and counters stay.

        Raises Conflict for a key that is revoked or expired, or changed at the same time.
        """
        key = await self.find(caller, key_id)
        plain = key_text_of(act)
        if key.hash == hash_key(plain.reveal()):  # this very act was done before
            return key, plain
        if not key.is_live(act.at):
            raise Conflict("This key is revoked or has expired. Make a new one.")
        rotated = replace(
            key,
            hash=hash_key(plain.reveal()),
            hint=plain.hint,
            previous_hash=key.hash if grace_s else None,
            previous_ends_at=act.at + timedelta(seconds=grace_s) if grace_s else None,
        )
        await self._accounts.put_key(rotated, act.event("key.rotate", key.id, grace_s=str(grace_s)), was=key)
        self._log.info("key.rotated", key_id=key.id, by=caller.key_id, grace_s=grace_s)
        return rotated, plain

    async def revoke(self, caller: Caller, key_id: str, act: Act) -> None:
        """Dead everywhere within the key cache's time, by each of its texts. Revoking twice is fine."""
        for _ in range(_TRIES):
            key = await self.find(caller, key_id)
            if key.revoked_at is not None:
                return
            revoked = replace(key, revoked_at=act.at)
            try:
                await self._accounts.put_key(revoked, act.event("key.revoke", key.id), was=key)
            except Conflict:
                continue  # someone changed it meanwhile: what they made of it is to be revoked
            self._log.info("key.revoked", key_id=key.id, by=caller.key_id)
            return
        raise Conflict("This key keeps being changed. Try again.")


def key_text_of(act: Act) -> Secret:
    """The text of the key that this act makes: only its seed tells it."""
    return Secret(new_key_text(act.draw("key")))
