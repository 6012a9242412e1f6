"""Trying a connection out: is its key good, does its server answer? For nothing, or for a few tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from headgate.domain.callers import Caller
from headgate.domain.catalog import Modality
from headgate.domain.connections import Connection
from headgate.domain.credentials import Credential
from headgate.domain.errors import HeadgateError, NotFound, ProviderRejected
from headgate.domain.generation import KeyOpening
from headgate.ports import AuditLog, Clock, ConnectionStore, Log
from headgate.providers.base import ChatCall
from headgate.providers.bound import BoundProvider
from headgate.services.acts import Act
from headgate.services.bind import Binder, attention_of
from headgate.services.tell_decrypts import tell_decrypts

_DEADLINE_S = 25.0
"""For everything together: API Gateway waits 29 s."""

_WRONG_PATH = (
    "Nothing is there below base_url: look at its path. Servers that speak OpenAI's API mostly have it at an "
    "address that ends in /v1."
)

_TOKENS = 16
"""Of a generation that only tries out: the least that every model takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """code, detail: what is wrong. latency_ms: of all that was asked. model_count: how many models the key
    sees; None where no list was read."""

    ok: bool
    latency_ms: int
    code: str | None = None
    detail: str | None = None
    model_count: int | None = None


class ConnectionChecker:
    """Tries connections with their own keys, at their own addresses."""

    def __init__(
        self,
        *,
        store: ConnectionStore,
        binder: Binder,
        audit: AuditLog,
        clock: Clock,
        log: Log,
    ) -> None:
        self._store = store
        self._binder = binder
        self._audit = audit
        self._clock = clock
        self._log = log

    async def check(self, caller: Caller, connection_id: str, act: Act, *, generate: bool) -> CheckResult:
        """Whatever goes wrong at the provider is a result. Raises NotFound for another user's."""
        row = (await self._store.load(caller.user_id)).find(connection_id)
        if row is None:
            raise NotFound(f"There is no connection {connection_id[:80]}.")
        started_s = self._clock.monotonic()
        if not row.is_active:
            return CheckResult(
                ok=False,
                latency_ms=0,
                code="conflict",
                detail="This connection is deleted; restore it first.",
            )
        bound = await self._open(row, act)
        try:
            result = await self._try(row, bound, started_s, generate=generate)
        except HeadgateError as error:
            result = CheckResult(ok=False, latency_ms=0, code=error.code, detail=error.detail)
            if (reason := attention_of(error)) is not None:
                await self._note(row, reason)
        else:
            await self._note(row, None)
        self._log.info("connection.checked", connection_id=row.id, type=row.type, code=result.code)
        return replace(result, latency_ms=round((self._clock.monotonic() - started_s) * 1000))

    async def _open(self, row: Connection, act: Act) -> BoundProvider | HeadgateError:
        """The provider with the connection's key, or why it can't be had. Told before the key is used, so
        that no use goes untold; raises GatewayFault where it can't be told."""
        told = act.event("connection.test", row.id, type=row.type, host=row.host or "-")
        opened: list[KeyOpening] = []
        try:
            credential = Credential(paid_by="connection", connection=row)
            return await self._binder.bind(row.type, credential, opened.append)
        except HeadgateError as error:
            return error
        finally:
            await tell_decrypts(self._audit, self._log, told, opened)

    async def _try(
        self, row: Connection, bound: BoundProvider | HeadgateError, started_s: float, *, generate: bool
    ) -> CheckResult:
        """The key, then the list, then a generation where one was asked for. Raises what fails of these."""
        if isinstance(bound, HeadgateError):
            raise bound

        def left_s() -> float:
            return max(1.0, started_s + _DEADLINE_S - self._clock.monotonic())

        if bound.has_key_check:
            with _address_doubted(row):
                await bound.check_key(deadline_s=left_s())
        count: int | None = None
        first: str | None = None
        if bound.spec.list_ttl_s is None:  # elsewhere asking for the list costs something
            with _address_doubted(row):
                listing = await bound.list_models(deadline_s=left_s())
            count = len(listing.models) if listing.listed else None
            texts = (model.native_id for model in listing.models if model.modality is Modality.TEXT)
            first = next(texts, None)
        if generate:
            await self._generate(bound, _model_of(row) or first, left_s())
        return CheckResult(ok=True, latency_ms=0, model_count=count)

    async def _generate(self, bound: BoundProvider, model: str | None, deadline_s: float) -> None:
        if model is None:
            raise NotFound("No model to try: set default_model.", code="model_not_found")
        # Newer models of OpenAI's refuse the one name of this limit, most other servers ignore the other.
        for name in ("max_tokens", "max_completion_tokens"):
            body = {"model": model, "messages": [{"role": "user", "content": "Say OK."}], name: _TOKENS}
            try:
                call = ChatCall(body=body, model=model, stream=False)
                await bound.chat(call, lambda usage: usage.cost_usd, deadline_s=deadline_s)
            except ProviderRejected as rejected:
                if name != "max_tokens" or "max_tokens" not in rejected.detail:
                    raise
            else:
                return

    async def _note(self, row: Connection, reason: str | None) -> None:
        if row.needs_attention != reason:
            await self._store.note_attention(row.user_id, row.id, sealed=row.sealed, reason=reason)


@contextmanager
def _address_doubted(row: Connection) -> Iterator[None]:
    """No model was asked for here: a 404 is about the path, which the user may have given."""
    try:
        yield
    except NotFound as error:
        if row.base_url is None:
            raise
        raise NotFound(f"{error.detail[:500]} {_WRONG_PATH}", code=error.code) from error


def _model_of(row: Connection) -> str | None:
    """The provider's own id of the default model, which may be given with the provider's slug before it."""
    return None if row.default_model is None else row.default_model.removeprefix(f"{row.type}/")
