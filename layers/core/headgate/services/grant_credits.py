"""Users' credits: what they have, how it came about, and what administrators grant."""

from headgate.domain.callers import Caller
from headgate.domain.credits import Balance, EntryKind, LedgerEntry
from headgate.domain.errors import InvalidRequest
from headgate.ports import Ledger
from headgate.services.acts import Act

MAX_GRANT_NANOUSD = 10**9 * 10**9
"""A billion dollars: a slip of the keyboard, within what 64 bits hold."""


class CreditsOffice:
    """A caller's own credits; those of others for administrators."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def balance(self, caller: Caller, user_id: str | None = None) -> Balance:
        """Raises AccessDenied for another's, unless the caller is an administrator."""
        return await self._ledger.balance(_whose(caller, user_id))

    async def entries(
        self, caller: Caller, user_id: str | None, *, limit: int, cursor: str | None
    ) -> tuple[list[LedgerEntry], str | None]:
        """Newest first; the second value is the next cursor. Raises as `balance`."""
        return await self._ledger.list_entries(_whose(caller, user_id), limit=limit, cursor=cursor)

    async def grant(self, act: Act, *, user_id: str, amount_nanousd: int, reason: str) -> LedgerEntry:
        """Adds to a user's credits, or takes from them where the amount is negative.

        Raises InvalidRequest for nothing, and for more than MAX_GRANT_NANOUSD.
        """
        if amount_nanousd == 0:
            raise InvalidRequest.of_field("amount", "must not be zero.")
        if abs(amount_nanousd) > MAX_GRANT_NANOUSD:
            raise InvalidRequest.of_field("amount", "is more than a billion dollars.")
        kind = EntryKind.GRANT if amount_nanousd > 0 else EntryKind.ADJUST
        entry = LedgerEntry(
            id=act.new_id("evt", "entry"),
            user_id=user_id,
            at=act.at,
            kind=kind,
            amount_nanousd=amount_nanousd,
            actor=act.actor,
            reason=reason,
        )
        told = act.event(
            f"credits.{kind.value}",
            user_id,
            amount_nanousd=str(amount_nanousd),
            reason=reason,
            entry=entry.id,
        )
        await self._ledger.add_entry(entry, told)
        return entry


def _whose(caller: Caller, user_id: str | None) -> str:
    caller.may_ask_of(user_id)
    return caller.user_id if user_id is None else user_id
