"""Sending a provider's requests: the one place on this path that retries, and the last that cleans errors.

Every send is reported to `on_attempt`, once, when its outcome is known.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin, urlsplit

from headgate.domain.errors import FieldError, HeadgateError, ProviderBusy, ProviderFailed, ProviderRefused
from headgate.domain.generation import Attempt
from headgate.domain.retry import RetryPolicy, decide_retry
from headgate.ports import Clock, HttpTransport, RequestSigner, WireRequest, WireResponse
from headgate.providers.base import Provider, ProviderConfig, StreamEvent
from headgate.providers.striking import STARS, cut_chain, struck, struck_all, struck_bytes

OnAttempt = Callable[[Attempt], None]
Sleep = Callable[[float], Awaitable[None]]

ERROR_BODY_BYTES = 65_536
ERROR_BODY_TIMEOUT_S = 5.0
MAX_FOLLOWED = 20
"""Redirects in a row that a provider may mean; as many as browsers follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """How one configuration sends. keys: texts struck from every error; config: bounds each send.

    signer: signs as the function's own role, where the provider asks for it.
    """

    provider: Provider
    transport: HttpTransport
    clock: Clock
    rng: Callable[[], float]
    sleep: Sleep
    policy: RetryPolicy
    config: ProviderConfig
    keys: tuple[str, ...] = field(default=(), repr=False)
    signer: RequestSigner | None = None

    def run(
        self, deadline_s: float, model: str, on_attempt: OnAttempt | None, *, retry: bool = True
    ) -> "Run":
        """One operation that ends within `deadline_s` seconds; `model` is the provider's own id, or empty."""
        sender = self if retry else replace(self, policy=replace(self.policy, max_retries=0))
        return Run(sender, deadline_s, model, on_attempt)

    def clean(self, error: HeadgateError) -> HeadgateError:
        """The same error, with the provider's name, and without the key should the provider echo it."""
        error.provider = error.provider or self.provider.spec.slug
        keys = self.keys
        cut_chain(error, keys)
        error.detail = struck(error.detail, keys)
        error.args = struck_all(error.args, keys)
        error.members = struck_all(error.members, keys)
        error.provider_request_id = struck_all(error.provider_request_id, keys)
        error.errors = tuple(
            FieldError(struck(each.field, keys), struck(each.message, keys)) for each in error.errors
        )
        return error

    def without_keys(self, body: bytes) -> bytes:
        """An answer as it came, but for the key should it repeat that: a list is stored, and shown to all."""
        for key in self.keys:
            if (plain := key.encode()) in body:
                body = body.replace(plain, STARS.encode())
        return body

    def clean_event(self, event: StreamEvent) -> StreamEvent:
        """An error inside a stream is cleaned like one before it, its bytes too."""
        if event.error is None:
            return event
        return replace(event, data=struck_bytes(event.data, self.keys), error=self.clean(event.error))

    async def signed(self, request: WireRequest) -> WireRequest:
        """The request with a signature, where the provider asks for one.

        Raises ProviderRefused where nobody can sign, and for an address of a caller's: it would be shown who
        we are.
        """
        scope = self.provider.signing_scope(self.config)
        if scope is None:
            return request
        if self.signer is None or request.guarded or self.config.guarded:
            raise ProviderRefused("This request can't be signed as the gateway's own role.")
        signature = await self.signer.sign(request, service=scope.service, region=scope.region)
        return replace(request, headers={**request.headers, **signature})

    def limited(self, request: WireRequest, left_s: float) -> WireRequest:
        """The request with no timeout longer than the time left, or than the configuration's; and guarded
        where that is, whatever a provider's own code forgot."""
        config = self.config
        total_s = _least(request.total_timeout_s, left_s, config.timeout_s)
        return replace(
            request,
            connect_timeout_s=_least(request.connect_timeout_s, total_s),
            first_byte_timeout_s=_least(request.first_byte_timeout_s, total_s, config.first_byte_timeout_s),
            idle_timeout_s=_least(request.idle_timeout_s, total_s, config.idle_timeout_s),
            total_timeout_s=total_s,
            guarded=request.guarded or config.guarded,
        )


class Run:
    """One operation: its sends, its retries, the time it has left."""

    def __init__(self, sender: Sender, deadline_s: float, model: str, on_attempt: OnAttempt | None) -> None:
        slug = sender.provider.spec.slug
        self.sender = sender
        self._deadline_s = sender.clock.monotonic() + deadline_s
        self._slug = slug
        self._model = f"{slug}/{model}" if model else ""
        self._on_attempt = on_attempt
        self._final = False
        self._followed: WireRequest | None = None
        self._redirects = 0

    async def exchange[T](self, request: WireRequest, parse: Callable[[bytes], T]) -> T:
        """Send, read all, parse; the connection is given up in any case."""
        return await self.exchange_whole(request, lambda _headers, body: parse(body))

    async def exchange_whole[T](
        self, request: WireRequest, parse: Callable[[Mapping[str, str], bytes], T]
    ) -> T:
        """As `exchange`, for what is told in the answer's headers too; their names are lower case."""

        async def read(response: WireResponse, started_s: float) -> T:
            parsed = parse(response.headers, self.sender.without_keys(await response.read()))
            await response.close()
            self.report("succeeded", None, started_s)
            return parsed

        return await self.send(request, read)

    async def send[T](
        self, request: WireRequest, receive: Callable[[WireResponse, float], Awaitable[T]]
    ) -> T:
        """What `receive` makes of a 2xx answer; sent again as long as that is allowed and makes sense.

        Once the provider has sent it elsewhere for the answer, only that is asked again.
        """
        sender = self.sender
        sends = 0
        while True:
            request = self._followed or request
            started_s = sender.clock.monotonic()
            limited = self._limited(request)
            try:
                return await self._send_once(limited, receive, started_s)
            except HeadgateError as error:
                failure = sender.clean(error)
                failure.may_have_run = failure.may_have_run or self._followed is not None
                self.report("failed", failure.code, started_s)
            except asyncio.CancelledError:
                self.report("cancelled", None, started_s)
                raise
            except Exception:  # its own code crashed, which is for our caller to judge; it was asked, though
                self.report("failed", "internal", started_s)
                raise
            sends += 1
            decision = decide_retry(
                sender.policy,
                failure,
                sends=sends,
                idempotent=(self._followed or request).idempotent,
                time_left_s=self._deadline_s - sender.clock.monotonic(),
                jitter=sender.rng(),
            )
            if decision.delay_s is None or self._final:
                raise failure
            await sender.sleep(decision.delay_s)

    async def _send_once[T](
        self, request: WireRequest, receive: Callable[[WireResponse, float], Awaitable[T]], started_s: float
    ) -> T:
        response = await self._answer_to(request)
        received = False
        try:
            if not 200 <= response.status < 300:
                raise await self._failure_of(request, response)
            result = await receive(response, started_s)
            received = True
            return result
        except HeadgateError as error:
            if 200 <= response.status < 300 and not isinstance(error, ProviderBusy):
                error.may_have_run = True  # it answered: only the answer is no good
            raise
        finally:
            if not received:
                await response.close()

    def _limited(self, request: WireRequest) -> WireRequest:
        left_s = self._deadline_s - self.sender.clock.monotonic()
        if left_s <= 0:
            error = ProviderFailed("There was no time left to ask.", code="provider_timeout")
            error.may_have_run = self._followed is not None
            raise self.sender.clean(error)
        return self.sender.limited(request, left_s)

    async def _answer_to(self, request: WireRequest) -> WireResponse:
        """The answer, after the redirects that the provider means: it is asked there, not here again."""
        sender = self.sender
        response = await sender.transport.send(await sender.signed(request))
        while (target := self._target_of(request, response)) is not None:
            await response.close()
            self._followed, self._redirects = target, self._redirects + 1
            request = self._limited(target)
            response = await sender.transport.send(await sender.signed(request))
        return response

    def _target_of(self, request: WireRequest, response: WireResponse) -> WireRequest | None:
        """Where a 303 leads that the provider follows: a GET at the same origin, or None."""
        if response.status != 303 or self._redirects >= MAX_FOLLOWED:
            return None
        target = self.sender.provider.follow(request, response.headers)
        if target is None or target.method != "GET" or _origin(target.url) != _origin(request.url):
            return None
        return replace(target, body=None, idempotent=True, guarded=request.guarded)

    async def _failure_of(self, request: WireRequest, response: WireResponse) -> HeadgateError:
        if response.status < 400:
            self._final = True
            return _redirected(request, response)
        body = await self._read_error(response)
        return self.sender.provider.classify_error(response.status, response.headers, body)

    async def _read_error(self, response: WireResponse) -> bytes:
        """The start of an error's body: enough to judge it, never long enough to be held up by it."""
        body = bytearray()
        left_s = max(0.0, self._deadline_s - self.sender.clock.monotonic())
        try:
            async with asyncio.timeout(min(ERROR_BODY_TIMEOUT_S, left_s)):
                async for chunk in response.chunks():
                    body += chunk
                    if len(body) >= ERROR_BODY_BYTES:
                        break
        except (TimeoutError, ProviderFailed):
            pass  # then what is there, and the status, must do
        return bytes(body[:ERROR_BODY_BYTES])

    def report(self, outcome: str, code: str | None, started_s: float, ended_s: float | None = None) -> None:
        """Tells the caller of one send; `latency_ms` is from its start to `ended_s`, else to now."""
        if self._on_attempt is None:
            return
        ended_s = self.sender.clock.monotonic() if ended_s is None else ended_s
        self._on_attempt(
            Attempt(
                provider=self._slug,
                model=self._model,
                outcome=outcome,
                code=code,
                latency_ms=round((ended_s - started_s) * 1000),
            )
        )


def _origin(url: str) -> tuple[str, str] | None:
    """Scheme, host and port as written (and whoever stands before an `@`); None for what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.scheme.lower(), parts.netloc.lower()


def _least(first: float, *others: float | None) -> float:
    return min(first, *(other for other in others if other is not None))


def _redirected(request: WireRequest, response: WireResponse) -> HeadgateError:
    """Not followed: the key would go wherever the answer says. Nor asked again: it would say the same."""
    try:
        target = urlsplit(urljoin(request.url, response.headers.get("location", ""))).hostname
    except ValueError:
        target = None
    return ProviderFailed(
        f"It redirects ({response.status}) to {(target or 'nowhere')[:253]}, which is not followed.",
        code="provider_protocol",
        may_have_run=True,
    )
