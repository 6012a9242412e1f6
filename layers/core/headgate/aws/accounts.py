"""The accounts table in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

from collections.abc import Sequence

from headgate.aws.account_items import DynamoFlags, DynamoOverrides, DynamoProjects, DynamoSettings
from headgate.aws.account_keys import LIST_INDEX, DynamoKeys
from headgate.aws.account_once import DynamoOnce
from headgate.aws.account_table import AccountTable
from headgate.domain.audit import AuditEvent

__all__ = ["LIST_INDEX", "DynamoAccountStore"]


class DynamoAuditLog(AccountTable):
    async def append_audit(self, events: Sequence[AuditEvent]) -> None:
        await self._trail.append(events)

    async def read_audit(self, *, after: str | None, limit: int) -> list[AuditEvent]:
        return await self._trail.read(after=after, limit=limit)


class DynamoAccountStore(
    DynamoKeys, DynamoProjects, DynamoSettings, DynamoOverrides, DynamoFlags, DynamoAuditLog, DynamoOnce
):
    """All of the accounts table. `table` is its name; the clock says which idempotency keys are over."""
