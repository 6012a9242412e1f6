"""Whether a user's money adds up: the entries against the balance, the holds against what is reserved."""

from collections import Counter
from dataclasses import dataclass

from headgate.domain.credits import Balance, EntryKind, LedgerEntry
from headgate.ports import Ledger

_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """balance: as stored. entries_nanousd: the sum of all entries. open_holds_nanousd: by generation, what is
    held and neither settled nor released. settled_twice: generations with more than one end or hold."""

    balance: Balance
    entries_nanousd: int
    open_holds_nanousd: dict[str, int]
    settled_twice: tuple[str, ...]

    @property
    def adds_up(self) -> bool:
        return (
            self.entries_nanousd == self.balance.available_nanousd
            and sum(self.open_holds_nanousd.values()) == self.balance.reserved_nanousd
            and not self.settled_twice
        )


async def reconcile(ledger: Ledger, user_id: str) -> Reconciliation:
    """Reads every entry of the user. Meaningful at rest: balance and entries are not read in one instant."""
    entries: list[LedgerEntry] = []
    cursor = None
    while True:
        page, cursor = await ledger.list_entries(user_id, limit=_PAGE, cursor=cursor)
        entries += page
        if cursor is None:
            break
    holds = [each for each in entries if each.kind is EntryKind.HOLD]
    ends = [each for each in entries if each.kind in (EntryKind.SETTLE, EntryKind.RELEASE)]
    ended = {each.generation_id for each in ends}
    return Reconciliation(
        balance=await ledger.balance(user_id),
        entries_nanousd=sum(each.amount_nanousd for each in entries),
        open_holds_nanousd={
            str(each.generation_id): -each.amount_nanousd for each in holds if each.generation_id not in ended
        },
        settled_twice=tuple({*_repeated(holds), *_repeated(ends)}),
    )


def _repeated(entries: list[LedgerEntry]) -> set[str]:
    counts = Counter(str(each.generation_id) for each in entries)
    return {generation_id for generation_id, count in counts.items() if count > 1}
