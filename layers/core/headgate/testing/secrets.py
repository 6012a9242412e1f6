"""Platform keys without Secrets Manager: from a mapping, or from variables of the environment."""

from collections.abc import Mapping

from headgate.domain.secret import Secret
from headgate.testing.faults import Faulty

_FIELDS = (("api_key", "API_KEY"), ("base_url", "BASE_URL"))

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {"gemini": ("google",)}
"""Other names of the same vendor: whatever one name lacks is taken from the next."""

_OTHER_SERVERS: Mapping[str, tuple[str, ...]] = {"custom": ("ollama", "vllm", "lmstudio")}
"""Different servers behind one slug: a key is never taken from one and sent to another."""


class MemorySecretStore(Faulty):
    """Secrets by slug, as they would be after reading: `{"openai": {"api_key": "sk-…"}}`."""

    def __init__(self, secrets: Mapping[str, Mapping[str, str]] | None = None) -> None:
        super().__init__()
        self._secrets = {slug: dict(fields) for slug, fields in (secrets or {}).items()}

    def put(self, slug: str, **fields: str) -> None:
        """Replaces a provider's secret."""
        self._secrets[slug] = fields

    def remove(self, slug: str) -> None:
        self._secrets.pop(slug, None)

    async def get(self, slug: str) -> Mapping[str, Secret] | None:
        self.check_fault()
        fields = self._secrets.get(slug)
        return None if fields is None else {name: Secret(value) for name, value in fields.items()}


class EnvSecretStore:
    """`<SLUG>_API_KEY` and `<SLUG>_BASE_URL`, and the aliases' (`GOOGLE_*`, `OLLAMA_*`, …)."""

    def __init__(self, provider_environ: Mapping[str, str]) -> None:
        self._environ = {name.upper(): value.strip() for name, value in provider_environ.items()}

    async def get(self, slug: str) -> Mapping[str, Secret] | None:
        fields: dict[str, Secret] = {}
        for name in (slug, *_OTHER_NAMES.get(slug, ())):
            fields = self._fields(name) | fields
        for server in _OTHER_SERVERS.get(slug, ()):
            fields = fields or self._fields(server)
        return fields or None

    def _fields(self, prefix: str) -> dict[str, Secret]:
        found = {field: self._environ.get(f"{prefix.upper()}_{suffix}", "") for field, suffix in _FIELDS}
        return {field: Secret(value) for field, value in found.items() if value}
