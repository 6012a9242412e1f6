"""Platform keys in Secrets Manager: `<prefix><slug>`, one wildcard permission."""

from collections.abc import Mapping

import orjson

from headgate.aws.clients import AwsClients
from headgate.aws.faults import NoSuchSecret
from headgate.domain.errors import GatewayFault
from headgate.domain.secret import Secret


class SecretsManagerStore:
    """Reads anew each time; whoever calls it keeps what it read, for at most five minutes."""

    def __init__(self, clients: AwsClients, prefix: str) -> None:
        self._clients = clients
        self._prefix = prefix

    async def get(self, slug: str) -> Mapping[str, Secret] | None:
        try:
            answer = await self._clients.call(
                "secretsmanager", "get_secret_value", SecretId=self._prefix + slug
            )
        except NoSuchSecret:
            return None
        return parse_secret(
            slug, answer.get("SecretString") or _decoded(slug, answer.get("SecretBinary", b""))
        )


def parse_secret(slug: str, text: str) -> Mapping[str, Secret] | None:
    """Fields of a JSON object that are texts, or the bare key as `api_key`; None when there is nothing.

    Raises GatewayFault (`gateway_unavailable`) for an object that can't be read: it is not sent as a key.
    """
    bare = text.strip()
    if not bare.startswith("{"):
        return {"api_key": Secret(bare)} if bare else None
    try:
        fields = orjson.loads(bare)
    except orjson.JSONDecodeError:
        # Not chained: the decoder's exception holds the text it could not read.
        raise _unreadable(slug) from None
    known = {name: Secret(value.strip()) for name, value in fields.items() if _is_text(value)}
    return known or None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _decoded(slug: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _unreadable(slug) from None


def _unreadable(slug: str) -> GatewayFault:
    return GatewayFault(
        f"The platform's secret of {slug} is neither a key nor a JSON object", code="gateway_unavailable"
    )
