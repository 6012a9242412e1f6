"""Feature flags, by the rules of Powertools' feature flags over what administrators stored.

https://docs.aws.amazon.com/powertools/python/latest/utilities/feature_flags/ (2026-11-21)
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from headgate.domain.accounts import Flag
from headgate.domain.errors import HeadgateError, InvalidRequest, NotFound
from headgate.ports import AccountStore, Clock, FlagStore, Log
from headgate.services.acts import Act

_CACHE_S = 60.0
_RETRY_S = 5.0
_MAX_BYTES = 32_000

REGISTRY_FLAG = "use_provider_registry"
"""Off, only the default providers are listed and served."""
KNOWN: Mapping[str, bool] = {REGISTRY_FLAG: True}
"""Flags that the gateway itself asks for, as they are until somebody sets them."""
Schema = Mapping[str, Any]


class Flags:
    """What is switched on, looked up at most once a minute per process. Never fails a request."""

    def __init__(self, store: FlagStore, clock: Clock, log: Log, *, cache_s: float = _CACHE_S) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._cache_s = min(cache_s, _CACHE_S)
        self._flags: Mapping[str, Flag] = {}
        self._read_again_s: float | None = None
        self._reading = asyncio.Lock()

    async def is_on(self, name: str, default: bool, context: Mapping[str, Any] | None = None) -> bool:
        """Whether the flag is on for a context (`{"user_id": …}`). `default` where there is no such flag, or
        the store was never read; while it can't be read again, what was read last holds."""
        flag = (await self._current()).get(name)
        if flag is None:
            return default
        if not flag.schema.get("rules"):
            return bool(flag.schema.get("default", default))
        # Powertools imports boto3 with it, so only a flag that has rules waits for that, and off the loop.
        return await asyncio.to_thread(evaluate, name, flag.schema, dict(context or {}), default)

    def forget(self) -> None:
        """The next look reads the store, if nobody else is just reading it."""
        self._read_again_s = None if self._read_again_s is None else 0.0

    async def _current(self) -> Mapping[str, Flag]:
        if self._read_again_s is None:
            async with self._reading:
                if self._read_again_s is None:
                    await self._read()
        elif self._clock.monotonic() >= self._read_again_s:
            self._read_again_s = self._clock.monotonic() + _RETRY_S  # meanwhile others go by what there is
            await self._read()
        return self._flags

    async def _read(self) -> None:
        try:
            self._flags = await self._store.read_flags()
            kept_s = self._cache_s
        except HeadgateError as error:
            self._log.warning("flags.unread", code=error.code)
            kept_s = min(_RETRY_S, self._cache_s)
        self._read_again_s = self._clock.monotonic() + kept_s


class FlagManager:
    """Flags as administrators see them: always the stored ones."""

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts

    async def find(self, name: str) -> Flag:
        """Raises NotFound for one that was never set, unless it is one of KNOWN."""
        flag = (await self._accounts.read_flags()).get(name)
        if flag is not None:
            return flag
        if name not in KNOWN:
            raise NotFound("There is no flag of that name.")
        return Flag(name=name, schema={"default": KNOWN[name]})

    async def set(self, act: Act, name: str, schema: Schema) -> Flag:
        """Creates or replaces. Raises InvalidRequest for what is no schema of a boolean flag."""
        schema = {part: value for part, value in schema.items() if part != "rules" or value not in ({}, None)}
        await asyncio.to_thread(check_schema, name, schema)
        flag = Flag(name=name, schema=schema, updated_at=act.at, updated_by=act.actor)
        text = orjson.dumps(schema).decode()
        await self._accounts.put_flag(flag, act.event("flag.set", name, schema=text[:1000]))
        return flag


def check_schema(name: str, schema: Schema) -> None:
    """Raises InvalidRequest unless Powertools takes it, and it is one of true and false."""
    from aws_lambda_powertools.utilities.feature_flags import SchemaValidator  # noqa: PLC0415 - see is_on
    from aws_lambda_powertools.utilities.feature_flags.exceptions import (  # noqa: PLC0415
        SchemaValidationError,
    )

    if not isinstance(schema.get("default"), bool):
        raise InvalidRequest.of_field("default", "must be true or false.")
    if not isinstance(schema.get("rules", {}), dict):
        raise InvalidRequest.of_field("rules", "must be an object of rules by their names.")
    if schema.get("boolean_type", True) is not True:
        raise InvalidRequest.of_field("boolean_type", "must be true: a flag is on or off.")
    try:
        size = len(orjson.dumps(schema))
    except TypeError:
        raise InvalidRequest.of_field(
            "rules", "are nested too deeply, or have a number of more than 64 bits."
        ) from None
    if size > _MAX_BYTES:
        raise InvalidRequest.of_field("rules", f"are longer than {_MAX_BYTES} bytes.")
    try:
        SchemaValidator(schema={name: dict(schema)}).validate()
    except (SchemaValidationError, AttributeError, KeyError, TypeError, ValueError) as exc:
        reason = (
            str(exc)[:300] if isinstance(exc, SchemaValidationError) else "can't be read as rules of a flag."
        )
        raise InvalidRequest.of_field("rules", reason) from exc


def evaluate(name: str, schema: Schema, context: dict[str, Any], default: bool) -> bool:
    """What Powertools makes of a flag's schema, or `default` where it makes nothing of it."""
    from aws_lambda_powertools.utilities.feature_flags import FeatureFlags, StoreProvider  # noqa: PLC0415
    from aws_lambda_powertools.utilities.feature_flags.exceptions import (  # noqa: PLC0415
        SchemaValidationError,
    )

    class Stored(StoreProvider):
        @property
        def get_raw_configuration(self) -> dict[str, Any]:
            return {name: dict(schema)}

        def get_configuration(self) -> dict[str, Any]:
            return self.get_raw_configuration

    try:
        return bool(FeatureFlags(store=Stored()).evaluate(name=name, context=context, default=default))
    except SchemaValidationError:
        return default
