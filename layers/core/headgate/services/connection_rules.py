"""What a connection may be made of: judged before it is stored. Pure."""

from typing import Protocol
from urllib.parse import urlsplit

from headgate.domain.errors import InvalidRequest
from headgate.providers.base import Provider, ProviderConfig

MOST_URL_CHARS = 2_000


class AddressRules(Protocol):
    """Which addresses a caller may name."""

    def check_url(self, url: str) -> None:
        """Raises InvalidRequest naming `base_url`."""
        ...


def check_access(provider: Provider, config: ProviderConfig) -> None:
    """Raises InvalidRequest naming `api_key` or `base_url`.

    A provider that the gateway's own role is good for needs a key in every connection: without one, requests
    would be signed as the role, and be on the operator's bill.
    """
    key, base_url = config.api_key, config.base_url
    if key is None and provider.spec.by_role:
        raise InvalidRequest.of_field("api_key", f"A connection to {provider.spec.name} needs a key.")
    if key is not None and not (key.reveal().isascii() and key.reveal().isprintable()):
        raise InvalidRequest.of_field("api_key", "A key has no control characters, and none beyond ASCII.")
    if base_url is not None:
        if len(base_url) > MOST_URL_CHARS:
            raise InvalidRequest.of_field("base_url", f"may have {MOST_URL_CHARS} characters.")
        parts = urlsplit(base_url)
        if parts.query or parts.fragment or base_url.endswith(("?", "#")):
            raise InvalidRequest.of_field("base_url", "Paths are put behind it: no query or fragment.")
    provider.validate_config(config)
