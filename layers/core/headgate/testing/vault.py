"""A vault in memory: what it gives out as ciphertext holds nothing of the secret."""

import secrets
from collections.abc import Mapping

from headgate.domain.secret import Secret
from headgate.ports import Unsealable
from headgate.testing.faults import Faulty

_MARK = b"memory-vault:"


class MemoryVault(Faulty):
    """Opens only what it sealed itself, with the context it was sealed with.

    unsealed: the context of every successful `unseal`, as CloudTrail would have it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[bytes, tuple[dict[str, str], Secret]] = {}
        self.unsealed: list[dict[str, str]] = []

    async def seal(self, secret: Secret, context: Mapping[str, str]) -> bytes:
        self.check_fault()
        sealed = _MARK + secrets.token_bytes(16)
        self._kept[sealed] = (dict(context), secret)
        return sealed

    async def unseal(self, sealed: bytes, context: Mapping[str, str]) -> Secret:
        self.check_fault()
        kept = self._kept.get(sealed)
        if kept is None or kept[0] != dict(context):
            raise Unsealable("sealed for something else")
        self.unsealed.append(dict(context))
        return kept[1]
