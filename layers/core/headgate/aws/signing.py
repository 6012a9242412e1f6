"""Signing requests to AWS's own HTTP interfaces as the role that the function runs under.

Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html (2026-11-20).
"""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from headgate.aws.clients import AwsClients
from headgate.domain.errors import ProviderRefused
from headgate.domain.secret import Secret
from headgate.ports import WireRequest

if TYPE_CHECKING:
    from botocore.credentials import Credentials

_SIGNED = ("content-type",)
"""Of the request's own headers. What a transport sets by itself (`accept-encoding`) can't be signed."""


class RoleSigner:
    """Signs with the credentials that the SDK finds, and renews, where the function runs."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients
        self._credentials: Credentials | None = None
        self._finding = threading.Lock()

    async def sign(self, request: WireRequest, *, service: str, region: str) -> Mapping[str, str | Secret]:
        """Off the loop: finding credentials may ask the network, and a body of megabytes is hashed."""
        return await self._clients.run(self._sign, request, service, region)

    def _sign(self, request: WireRequest, service: str, region: str) -> Mapping[str, str | Secret]:
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - slow to import
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - slow to import

        told = {name: request.headers[name] for name in _SIGNED if name in request.headers}
        plain = {name: value for name, value in told.items() if isinstance(value, str)}
        signed = AWSRequest(method=request.method, url=request.url, data=request.body or b"", headers=plain)
        # Frozen, so that key and token belong together while they are renewed.
        SigV4Auth(self._found().get_frozen_credentials(), service, region).add_auth(signed)
        added = {name.lower(): value for name, value in signed.headers.items()}
        return {
            name: Secret(value) if name in ("authorization", "x-amz-security-token") else value
            for name, value in added.items()
            if name not in plain
        }

    def _found(self) -> "Credentials":
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - slow to import
        from botocore.session import Session  # noqa: PLC0415 - slow to import

        with self._finding:
            if self._credentials is None:
                try:
                    self._credentials = Session().get_credentials()
                except BotoCoreError:
                    self._credentials = None
            if self._credentials is None:
                raise ProviderRefused("The function has no AWS credentials to sign with.")
            return self._credentials
