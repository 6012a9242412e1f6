"""What a provider is called with on a caller's behalf. Pure."""

import hashlib
from dataclasses import dataclass, field

from headgate.domain.connections import Connection
from headgate.domain.generation import PaidBy
from headgate.domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The platform's key, a stored connection's, or one lent with the request: its owner pays the provider.

    connection is set for `connection`, lent for `lent`.
    """

    paid_by: PaidBy = "platform"
    connection: Connection | None = None
    lent: Secret | None = field(default=None, repr=False)

    @property
    def connection_id(self) -> str | None:
        return self.connection.id if self.connection is not None else None

    @property
    def caller_pays(self) -> bool:
        return self.paid_by != "platform"

    @property
    def name(self) -> str:
        """One text per key, which tells nothing of it: circuits are kept by it."""
        if self.connection is not None:
            return f"{self.connection.id}.{self.connection.revision}"
        if self.lent is not None:
            return "lent-" + hashlib.sha256(self.lent.reveal().encode()).hexdigest()[:16]
        return "platform"


PLATFORM = Credential()
