"""Idempotency keys of requests that create something, in the accounts table."""

from headgate.aws.account_table import AccountTable
from headgate.aws.once import OnceItems
from headgate.ports import Begun


class DynamoOnce(AccountTable):
    async def begin_once(self, name: str, begun: Begun) -> Begun:
        return await OnceItems(self._table, self._clock).begin(name, begun)

    async def finish_once(self, name: str, begun: Begun) -> None:
        await OnceItems(self._table, self._clock).finish(name, begun)
