"""What the person at this machine set, and from it the environment of each function. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from dev.template import FunctionSpec
from headgate.domain.secret import Secret
from headgate.settings import BUFFERED_BODY_BYTES
from headgate.testing.secrets import EnvSecretStore

STREAMED_BODY_BYTES = 10_000_000
"""API Gateway's own limit, which is all that is left where Lambda does not buffer."""

DEFAULT_PORT = 8787

_USUAL = {
    "HEADGATE_MOCK": "auto",
    "HEADGATE_ALLOW_UNLISTED_MODELS": "1",
    "HEADGATE_PRIVATE_HOSTS": "localhost,127.0.0.1,::1",
    "HEADGATE_STAGE_PREFIX": "",
    "HEADGATE_READ_REQUESTS_PER_MINUTE": "0",
}
"""What differs here from a deployed stack's defaults."""

_PARAMETER = "HEADGATE_PARAM_"
_RUNNERS_OWN = ("HEADGATE_ADMIN_KEY", "HEADGATE_STORE", "HEADGATE_LOCAL", "HEADGATE_SECRET_PREFIX")
_RESOURCE_NAMES = ("_TABLE", "_FUNCTION", "_BUCKET", "_KMS_KEY", "_ARN")
_PROVIDER_SUFFIXES = ("_API_KEY", "_BASE_URL")


class ConfigError(Exception):
    """A setting that can't be used; the message names it and says what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfig:
    """Everything that was set. settings: `HEADGATE_*` meant for the functions, by name.

    provider_environ: `<SLUG>_API_KEY` and `<SLUG>_BASE_URL`. admin_key None: one is made.
    """

    port: int = DEFAULT_PORT
    store: Literal["aws", "memory"] = "aws"
    admin_key: Secret | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    provider_environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_config(
    environ: Mapping[str, str], dotenv: Mapping[str, str], parameters: Mapping[str, str]
) -> LocalConfig:
    """The environment wins over `.env`, and `--parameter` over both. Raises ConfigError."""
    given = {**dotenv, **environ}
    return LocalConfig(
        port=_port(given.get("PORT", "")),
        store=_store(given.get("HEADGATE_STORE", "")),
        admin_key=_admin_key(given.get("HEADGATE_ADMIN_KEY", "")),
        parameters={**_with_prefix(given, _PARAMETER), **parameters},
        settings={name: value for name, value in given.items() if _is_setting(name)},
        provider_environ={
            name: value for name, value in given.items() if name.endswith(_PROVIDER_SUFFIXES) and value
        },
    )


def _port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise ConfigError("PORT must be a number from 1 to 65535")
    return int(text)


def _store(text: str) -> Literal["aws", "memory"]:
    if text in ("", "aws", "moto"):
        return "aws"
    if text == "memory":
        return "memory"
    raise ConfigError("HEADGATE_STORE is `memory`, or unset for moto")


def _admin_key(text: str) -> Secret | None:
    if not text:
        return None
    if len(text) < 8 or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError("HEADGATE_ADMIN_KEY needs at least 8 printable characters, without spaces")
    return Secret(text)


def _with_prefix(given: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}


def _is_setting(name: str) -> bool:
    return (
        name.startswith("HEADGATE_")
        and not name.startswith(_PARAMETER)
        and name not in _RUNNERS_OWN
        and not name.endswith(_RESOURCE_NAMES)
    )


def function_environment(spec: FunctionSpec, config: LocalConfig, aws: Mapping[str, str]) -> dict[str, str]:
    """One function's environment: what its template entry declares, what Lambda adds, what is local.

    aws: region, credentials and endpoints. What a person gave, as a parameter or as a `HEADGATE_*` setting of
    the function's own, wins over what is usual here, and that over the template's defaults. Providers' keys
    are in none of them; their addresses are, for the function that may not read where the secrets say.
    """
    usual = {name: value for name, value in _USUAL.items() if name not in spec.chosen}
    return {
        **_body_limit(spec),
        **spec.environment,
        "AWS_LAMBDA_FUNCTION_NAME": spec.physical_name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        **aws,
        **{name: url for name, url in config.provider_environ.items() if name.endswith("_BASE_URL")},
        **usual,
        **config.settings,
        "HEADGATE_LOCAL": "1",
        "HEADGATE_STORE": config.store,
    }


def _body_limit(spec: FunctionSpec) -> dict[str, str]:
    if not spec.routes:
        return {}
    streamed = all(route.streamed for route in spec.routes)
    return {"HEADGATE_MAX_BODY_BYTES": str(STREAMED_BODY_BYTES if streamed else BUFFERED_BODY_BYTES)}


async def provider_secrets(
    provider_environ: Mapping[str, str], slugs: Iterable[str]
) -> dict[str, dict[str, str]]:
    """The fields of each configured provider's secret, by slug, in clear: what Secrets Manager is given."""
    store = EnvSecretStore(provider_environ)
    found = {slug: await store.get(slug) for slug in slugs}
    return {
        slug: {name: value.reveal() for name, value in fields.items()}
        for slug, fields in found.items()
        if fields
    }
