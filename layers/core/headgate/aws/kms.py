"""Users' keys, sealed by one key of KMS. Nothing here knows any cryptography."""

from collections.abc import Mapping

from headgate.aws.clients import AwsClients
from headgate.aws.faults import BadCiphertext
from headgate.domain.errors import GatewayFault
from headgate.domain.secret import Secret
from headgate.ports import Unsealable


class KmsVault:
    """`key_id`: id, ARN or alias of a symmetric key. Every call is in CloudTrail, with its context."""

    def __init__(self, clients: AwsClients, key_id: str) -> None:
        self._clients = clients
        self._key_id = key_id

    async def seal(self, secret: Secret, context: Mapping[str, str]) -> bytes:
        answer = await self._clients.call(
            "kms",
            "encrypt",
            KeyId=self._key_id,
            Plaintext=secret.reveal().encode(),
            EncryptionContext=dict(context),
        )
        sealed: bytes = answer["CiphertextBlob"]
        return sealed

    async def unseal(self, sealed: bytes, context: Mapping[str, str]) -> Secret:
        """The key is named, though the ciphertext names it too: one of another key is then refused."""
        try:
            answer = await self._clients.call(
                "kms",
                "decrypt",
                KeyId=self._key_id,
                CiphertextBlob=sealed,
                EncryptionContext=dict(context),
            )
        except BadCiphertext as bad:
            raise Unsealable("sealed for something else") from bad
        try:
            return Secret(answer["Plaintext"].decode())
        except UnicodeDecodeError:
            # Not chained: the exception holds the bytes.
            raise GatewayFault("A sealed key is no text", code="gateway_unavailable") from None
