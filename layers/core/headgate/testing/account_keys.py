"""API keys in memory."""

from headgate.domain.audit import AuditEvent
from headgate.domain.callers import ApiKey
from headgate.domain.errors import Conflict
from headgate.paging import decode_cursor, encode_cursor, position_of
from headgate.ports import Clock
from headgate.testing.audit import MemoryAuditLog


class MemoryKeys(MemoryAuditLog):
    """Keys by hash and by id, one to one: what a put takes the id or the hash from is forgotten."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._by_hash: dict[str, ApiKey] = {}
        self._by_id: dict[str, ApiKey] = {}

    async def get_key(self, key_hash: str) -> ApiKey | None:
        self.check_fault()
        return self._by_hash.get(key_hash)

    async def put_key(
        self, key: ApiKey, audit: AuditEvent | None = None, *, was: ApiKey | None = None
    ) -> None:
        self.check_fault()
        if was is not None and self._by_id.get(key.id) != was:
            raise Conflict("This key was changed at the same time. Read it again.")
        if not self.note(audit):
            return
        holder = self._by_hash.get(key.hash)
        for before in (self._by_id.get(key.id), holder and self._by_id.get(holder.id)):
            if before is not None:
                self._by_hash.pop(before.hash, None)
                self._by_hash.pop(before.previous_hash or "", None)
                self._by_id.pop(before.id, None)
        self._by_id[key.id] = key
        self._by_hash[key.hash] = key
        if (previous := key.previous) is not None:
            self._by_hash[previous.hash] = previous

    async def get_key_by_id(self, key_id: str) -> ApiKey | None:
        self.check_fault()
        return self._by_id.get(key_id)

    async def list_keys(
        self, *, user_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[ApiKey], str | None]:
        self.check_fault()
        scope = "keys" if user_id is None else f"keys of {user_id}"
        below = None if cursor is None else decode_cursor(scope, cursor)
        owned = (key for key in self._by_id.values() if user_id is None or key.user_id == user_id)
        placed = ((position_of(key.created_at, key.id), key) for key in owned)
        found = [(position, key) for position, key in placed if below is None or position < below]
        found.sort(key=lambda pair: pair[0], reverse=True)
        page = found[:limit]
        more = len(found) > limit
        return [key for _, key in page], encode_cursor(scope, page[-1][0]) if more else None
