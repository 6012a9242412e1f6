"""What the parts of the accounts table share: changes that are written with the event that tells of them."""

from typing import Any

from headgate.aws.audit import AuditTrail, was_made
from headgate.aws.clients import AwsClients
from headgate.aws.dynamodb import Table
from headgate.aws.faults import TransactionCancelled
from headgate.clock import SystemClock
from headgate.domain.audit import AuditEvent
from headgate.domain.errors import GatewayFault
from headgate.ports import Clock

TRIES = 6


class AccountTable:
    """`table` is the accounts table's name."""

    def __init__(self, clients: AwsClients, table: str, clock: Clock | None = None) -> None:
        self._clients = clients
        self._table = Table(clients, table)
        self._clock = clock or SystemClock()
        self._trail = AuditTrail(self._table)

    async def _change(self, what: str, audit: AuditEvent, *changes: dict[str, Any]) -> bool:
        """Does these together with the event; True too when that was done before. False when the first one's
        condition did not hold: the others have none."""
        actions = [*changes, await self._trail.putting(audit)]
        for tries in range(TRIES):
            try:
                await self._table.transact(*actions)
            except TransactionCancelled as cancelled:
                if was_made(cancelled):
                    return True
                if cancelled.failed_condition(0) is not None:
                    return False
                if not cancelled.is_passing:
                    raise GatewayFault(f"The store refused to keep {what}") from cancelled
                await self._clients.pause(tries)
            else:
                return True
        raise GatewayFault.unavailable("The store")
