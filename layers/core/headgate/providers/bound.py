"""A provider bound to a configuration and a transport: what the services call."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from headgate.domain.catalog import ModelInfo, merge_models
from headgate.domain.errors import HeadgateError, NotFound, ProviderFailed
from headgate.domain.retry import RetryPolicy
from headgate.domain.secret import Secret
from headgate.ports import Clock, HttpTransport, RequestSigner, WireResponse
from headgate.providers._details import ask_details
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    PriceUsage,
    Provider,
    ProviderConfig,
    ProviderSpec,
)
from headgate.providers.sending import OnAttempt, Run, Sender, Sleep
from headgate.providers.streaming import ChatStream

MAX_PAGES = 100
"""Of a model list; one that goes on is cut there and said to be partial."""
LIST_DEADLINE_S = 60.0
WAKING_LIST_DEADLINE_S = 110.0
"""Of a list whose server has to be woken for it."""
KEY_CHECK_DEADLINE_S = 20.0
CHAT_DEADLINE_S = 840.0

_SHORTEST_KEY = 4
"""Characters below which a "key" is a word that may well stand in an error on its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelListing:
    """A provider's whole list: `models` sorted by id, each id once.

    dropped: per unreadable entry, why. partial: it went on past the page cap. listed: false where the
    provider has no list at all. Prices carry no `as_of`: whoever keeps the list knows when it was read.
    """

    models: tuple[ModelInfo, ...] = ()
    dropped: tuple[str, ...] = ()
    pages: int = 0
    partial: bool = False
    listed: bool = True


class BoundProvider:
    """One provider as one configuration reaches it. Holds no state between calls; safe to share.

    Every operation takes `deadline_s`, the seconds it may take with all its retries, and `on_attempt`, told
    of each send. All raise HeadgateError as the provider classified it, `provider` filled in.
    """

    def __init__(
        self,
        provider: Provider,
        config: ProviderConfig,
        *,
        transport: HttpTransport,
        clock: Clock,
        rng: Callable[[], float] = random.random,
        policy: RetryPolicy | None = None,
        sleep: Sleep = asyncio.sleep,
        signer: RequestSigner | None = None,
    ) -> None:
        policy = policy or provider.spec.retry
        if config.max_retries is not None:
            policy = replace(policy, max_retries=config.max_retries)
        self.provider = provider
        self.config = config
        self._sender = Sender(
            provider=provider,
            transport=transport,
            clock=clock,
            rng=rng,
            sleep=sleep,
            policy=policy,
            keys=_keys_of(provider, config),
            config=config,
            signer=signer,
        )

    def __repr__(self) -> str:
        return f"BoundProvider({self.slug!r})"

    @property
    def slug(self) -> str:
        return self.provider.spec.slug

    @property
    def spec(self) -> ProviderSpec:
        return self.provider.spec

    # -- catalogue ----------------------------------------------------------------------------------------

    async def list_models(
        self, *, deadline_s: float | None = None, on_attempt: OnAttempt | None = None
    ) -> ModelListing:
        """Every page of the list, merged, with the details that there are.

        One page that fails fails it all, unless the page before it said that it need not be there.

        Raises ProviderFailed (`provider_protocol`) when it is no list.
        """
        if deadline_s is None:
            deadline_s = LIST_DEADLINE_S if self.spec.list_ttl_s is None else WAKING_LIST_DEADLINE_S
        run = self._sender.run(deadline_s, "", on_attempt)
        models: list[ModelInfo] = []
        dropped: list[str] = []
        details: list[str] = []
        seen: set[str] = set()
        page, optional = None, False
        while len(seen) < MAX_PAGES:
            request = self.provider.build_list_models(self.config, page)
            if request is None and page is None:
                return ModelListing(listed=False)
            if request is None:
                page = None
                break
            seen.add(page or "")
            try:
                read = await run.exchange(request, self.provider.parse_list_models)
            except HeadgateError as error:
                if self.spec.list_optional and page is None and isinstance(error, NotFound):
                    return ModelListing(listed=False)
                if not optional:
                    raise
                dropped.append(f"page {len(seen)}: {error.code}")
                break
            models += read.models
            dropped += read.dropped
            details += read.details
            page, optional = read.next_page, read.next_optional
            if page is None or page in seen:
                break
        return ModelListing(
            models=await ask_details(self._sender, merge_models(models), details),
            dropped=tuple(dropped),
            pages=len(seen),
            partial=page is not None,
        )

    async def get_model_info(self, model_id: str) -> ModelInfo:
        """One model, by the provider's own id or ours. Reads the list anew: the catalogue is the cheap way.

        Raises NotFound (`model_not_found`), with the closest ids in its detail.
        """
        listing = await self.list_models()
        wanted = self._full_id(model_id)
        for model in listing.models:
            if model.id == wanted:
                return model
        close = get_close_matches(wanted, [model.id for model in listing.models], n=3)
        hint = f" Close to it: {', '.join(close)}." if close else ""
        raise NotFound(
            f"{self.spec.name} lists no model {model_id!r}.{hint}", code="model_not_found", provider=self.slug
        )

    async def validate_model(self, model_id: str) -> bool:
        """Whether the provider lists it; true where it has no list to ask."""
        listing = await self.list_models()
        wanted = self._full_id(model_id)
        return not listing.listed or any(model.id == wanted for model in listing.models)

    def _full_id(self, model_id: str) -> str:
        return model_id if model_id.startswith(f"{self.slug}/") else f"{self.slug}/{model_id}"

    # -- key check ----------------------------------------------------------------------------------------

    @property
    def has_key_check(self) -> bool:
        """Whether `check_key` would ask anything: not where there is no such request, or no key is used."""
        return self.provider.build_key_check(self.config) is not None

    async def check_key(
        self, *, deadline_s: float = KEY_CHECK_DEADLINE_S, on_attempt: OnAttempt | None = None
    ) -> None:
        """A free request that fails with a bad key; nothing at all where `has_key_check` is false.

        Raises ProviderRefused (`provider_auth`, `provider_insufficient_funds`), or what else went wrong.
        """
        request = self.provider.build_key_check(self.config)
        if request is not None:
            run = self._sender.run(deadline_s, "", on_attempt)
            await run.exchange(request, self.provider.parse_key_check)

    async def check_list(self, *, deadline_s: float = KEY_CHECK_DEADLINE_S) -> bool:
        """Asks for the list and reads no more than the head of the answer.

        False where nothing is asked: there is no list, or asking for it is not free.

        Raises as classified when it is refused or does not answer.
        """
        if self.spec.list_ttl_s is not None:
            return False
        request = self.provider.build_list_models(self.config, None)
        if request is None:
            return False

        async def head_only(response: WireResponse, _started_s: float) -> None:
            await response.close()

        try:
            await self._sender.run(deadline_s, "", None).send(request, head_only)
        except NotFound:
            if self.spec.list_optional:
                return False
            raise
        return True

    # -- chat ---------------------------------------------------------------------------------------------

    async def chat(
        self,
        call: ChatCall,
        price: PriceUsage,
        *,
        deadline_s: float = CHAT_DEADLINE_S,
        on_attempt: OnAttempt | None = None,
        retry: bool = True,
    ) -> ChatAnswer:
        """A whole answer. retry: whether to send again at all; not where another candidate can take over."""
        run = self._sender.run(deadline_s, call.model, on_attempt, retry=retry)
        request = self.provider.build_chat(call, self.config)
        return await run.exchange(request, lambda body: self.provider.parse_chat(call, body, price))

    async def embed(
        self,
        call: ChatCall,
        price: PriceUsage,
        *,
        deadline_s: float = CHAT_DEADLINE_S,
        on_attempt: OnAttempt | None = None,
        retry: bool = True,
    ) -> ChatAnswer:
        """Embeddings, as OpenAI answers. Raises CannotCarry for a provider that has none."""
        from headgate.providers._parts import embed  # noqa: PLC0415 - most processes never embed

        def start_run() -> Run:
            left_s = ends_s - self._sender.clock.monotonic()
            return self._sender.run(left_s, call.model, on_attempt, retry=retry)

        ends_s = self._sender.clock.monotonic() + deadline_s
        return await embed(self._sender, call, price, start_run=start_run)

    async def count_tokens(
        self, call: ChatCall, *, deadline_s: float = CHAT_DEADLINE_S, on_attempt: OnAttempt | None = None
    ) -> int | None:
        """Tokens of the call's conversation as the provider counts; None where it can't."""
        request = self.provider.build_count_tokens(call, self.config)
        if request is None:
            return None
        run = self._sender.run(deadline_s, call.model, on_attempt)
        return await run.exchange(request, self.provider.parse_count_tokens)

    async def open_chat_stream(
        self,
        call: ChatCall,
        price: PriceUsage,
        *,
        deadline_s: float = CHAT_DEADLINE_S,
        on_attempt: OnAttempt | None = None,
        retry: bool = True,
    ) -> ChatStream:
        """A streamed answer, once its head is there: what fails before that is raised.

        The stream must be closed, read to its end or not. The attempt that succeeded so far is reported when
        the stream is over.
        """
        run = self._sender.run(deadline_s, call.model, on_attempt, retry=retry)
        request = self.provider.build_chat(call, self.config)

        async def open_stream(response: WireResponse, started_s: float) -> ChatStream:
            await self._refuse_json(response, call, price)
            return ChatStream(run, response, self.provider.read_chat_stream(call, price), started_s)

        return await run.send(request, open_stream)

    async def _refuse_json(self, response: WireResponse, call: ChatCall, price: PriceUsage) -> None:
        """Some answer a stream's request with 200 and one JSON object: an error, or no stream at all."""
        if response.headers.get("content-type", "").startswith("application/json"):
            self.provider.parse_chat(call, await response.read(), price)
            raise ProviderFailed("A whole answer came where a stream was due.", code="provider_protocol")


def _keys_of(provider: Provider, config: ProviderConfig) -> tuple[str, ...]:
    """Every text that an error must not repeat: the key, and the parts of it that go into headers."""
    secrets = [value for value in provider.headers(config).values() if isinstance(value, Secret)]
    texts = {
        secret.reveal().removeprefix("Bearer ") for secret in (config.api_key, *secrets) if secret is not None
    }
    return tuple(sorted((text for text in texts if len(text) >= _SHORTEST_KEY), key=len, reverse=True))
