"""Clients of AWS whose transactions are refused as on AWS, where they meet others; moto never does that."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any, cast

from headgate.aws.clients import AwsClients
from headgate.aws.faults import Cancellation, TransactionCancelled


class MeetingClients:
    """Each transaction that writes to the main item of a balance asks `meets`, in turn, whether another does.

    The rest goes to `inner`.
    """

    def __init__(self, inner: AwsClients, meets: Sequence[bool] = (True, False, False)) -> None:
        self._inner = inner
        self._meets = cycle(meets)

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "transact_write_items":
            codes = ["TransactionConflict" if _is_main(each) else "None" for each in params["TransactItems"]]
            if "TransactionConflict" in codes and next(self._meets):
                raise TransactionCancelled(tuple(map(Cancellation, codes)))
        return await self._inner.call(service, operation, **params)

    async def pause(self, tries: int) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _is_main(action: dict[str, Any]) -> bool:
    key = action.get("Update", {}).get("Key", {})
    return bool(key) and key["sk"]["S"] == "BAL#0"


def meeting(inner: AwsClients, meets: Sequence[bool] = (True, False, False)) -> AwsClients:
    return cast("AwsClients", MeetingClients(inner, meets))
