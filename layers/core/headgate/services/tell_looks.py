"""Telling of what the stack looked at by itself, with its own keys: one event for all of a run."""

from headgate.domain.audit import AuditEvent
from headgate.domain.errors import GatewayFault
from headgate.ports import AuditLog, Log


async def tell_looks(audit: AuditLog, log: Log, run: AuditEvent) -> None:
    """Appends it. What can't be written is logged: the platform's lists and health are worth more."""
    try:
        await audit.append_audit([run])
    except GatewayFault as fault:
        log.error("looks.untold", code=fault.code, action=run.action, looks=dict(run.details))
