"""Telling of an act on a connection together with the decryptions that were made for it."""

from collections.abc import Sequence

from headgate.domain.audit import AuditEvent, decrypt_event
from headgate.domain.errors import GatewayFault
from headgate.domain.generation import KeyOpening
from headgate.ports import AuditLog, Log


async def tell_decrypts(audit: AuditLog, log: Log, act: AuditEvent, opened: Sequence[KeyOpening]) -> None:
    """Appends the act's event and one for each decryption, at once.

    Raises GatewayFault when it can't: what was opened is in the log of this process then, and in the vault's.
    """
    decrypts = [decrypt_event(each, act) for each in opened]
    try:
        await audit.append_audit([act, *decrypts])
    except GatewayFault as fault:
        for event in decrypts:
            log.error(
                "decrypt.untold",
                code=fault.code,
                connection_id=event.target,
                outcome=event.details["outcome"],
                actor=event.actor,
                request_id=event.request_id,
            )
        raise
