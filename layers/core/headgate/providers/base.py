"""What a provider is: a row of facts and a translation between our values and its wire. No I/O here.

One provider is one file, `providers/<slug>.py`, with one class marked `@provider`, and one fixture folder of
the same name. `build_*` turns our values into a wire request, `parse_*` turns wire bytes into our values,
`classify_error` turns a failure into one of our codes. Sending, retrying and measuring are `bound.py`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import CannotCarry, HeadgateError, InvalidRequest, ProviderFailed
from headgate.domain.generation import Usage
from headgate.domain.retry import RetryPolicy
from headgate.domain.secret import Secret
from headgate.ports import HttpTransport, WireRequest

CONTRACT_VERSION = 1
"""Raised when a provider written for the older contract would break; the registry refuses others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """What the provider is known to allow one key."""

    requests_per_minute: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """The declarative part of a provider.

    base_url: what that vendor's SDK calls base URL. models_path, key_check_path, embeddings_path: relative to
    it; None where there is none. auth: how the key is sent; `aws` is as `bearer`, or without a key by
    signing as the function's own role. key_required: false where a server may need none.
    modalities: what it can make, before its list is read. features: names shown in provider listings.
    sends_stream_options: whether `stream_options.include_usage` may be sent to it. list_optional: a 404 says
    that this server has no list, and is no failure. list_ttl_s: how long a list is good where asking for one
    costs something (it wakes a machine): it is then asked for no sooner, and never by a health check.
    public_list: whether the list is shown to whoever asks, without a key.
    """

    slug: str
    name: str
    description: str
    docs_url: str
    base_url: str | None
    models_path: str | None = "/models"
    key_check_path: str | None = None
    embeddings_path: str | None = None
    auth: Literal["bearer", "x-api-key", "x-goog-api-key", "aws", "none"] = "bearer"
    key_required: bool = True
    default_headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit | None = None
    retry: RetryPolicy = RetryPolicy()
    modalities: frozenset[Modality] = frozenset({Modality.TEXT})
    features: tuple[str, ...] = ()
    asynchronous: bool = False
    sends_stream_options: bool = True
    list_optional: bool = False
    list_ttl_s: float | None = None
    public_list: bool = False

    @property
    def key_name(self) -> str:
        """The environment variable of its key: `OPENROUTER_API_KEY`."""
        return f"{self.slug.upper()}_API_KEY"

    @property
    def by_role(self) -> bool:
        """Whether the function's own role can be its key."""
        return self.auth == "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningScope:
    """What a request is signed for: an AWS service by its signing name, in a region (`eu-central-1`)."""

    service: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """How one caller, or the platform, reaches a provider.

    base_url None means the provider's own. guarded: the address came from a caller.
    timeout_s bounds one call, first_byte_timeout_s and idle_timeout_s its silences; max_retries overrides the
    policy's. metadata: `region`, for a provider that the function's role is good for, is where that runs.
    """

    api_key: Secret | None = None
    base_url: str | None = None
    timeout_s: float | None = None
    first_byte_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    max_retries: int | None = None
    guarded: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPage:
    """One page of a provider's list. `dropped` says, per unreadable entry, why it was left out.

    next_page: what `build_list_models` takes for the page after this one. next_optional: if that one fails,
    the list is partial, and there. details: what more there is to ask about these models, each in words of
    the provider's own that `build_detail` takes.
    """

    models: tuple[ModelInfo, ...]
    dropped: tuple[str, ...] = ()
    next_page: str | None = None
    next_optional: bool = False
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """One turn of a conversation, as the caller sent it.

    body: the caller's JSON object in `dialect`, unknown fields included. model: the provider's own model id.
    include_usage: whether the caller asked for a usage chunk of its own at a stream's end. headers: the few
    of the caller's that a provider of the same dialect may get (`anthropic-beta`). dropped: filled by
    `build_chat` with the names of fields that could not be carried across and need not be refused. info: what
    the catalogue knows of the model, None for one it does not list.
    """

    body: Mapping[str, Any]
    model: str
    stream: bool
    include_usage: bool = False
    dialect: str = "openai-chat"
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    info: ModelInfo | None = field(default=None, repr=False)


Operation = Literal["chat", "embeddings", "count_tokens"]
"""What may be asked of a provider of text; each is a `build_*` and a `parse_*`."""

PriceUsage = Callable[[Usage], Decimal | None]
"""Dollars that a usage costs the caller, or None where that is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOutcome:
    """What was answered, for the record: text, tool calls (OpenAI's objects), finish reason, usage.

    embeddings: the JSON of an embeddings answer in OpenAI's shape, for a record that keeps it.
    """

    text: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    embeddings: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """A whole answer. `body`: the JSON the client gets; handed through, the provider's but for its cost."""

    body: bytes
    outcome: ChatOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One step of a streamed answer.

    data: the framed bytes (`data: {…}\\n\\n`) the client gets, empty when nothing is sent for it.
    content: whether it carries any of the answer (text, reasoning, tool call, refusal, audio): after the
    first such event no other provider can take over. error: a failure reported inside the stream.
    """

    data: bytes = b""
    content: bool = False
    error: HeadgateError | None = None


class ChatStreamReader(ABC):
    """Turns the bytes of a streamed answer into events. One per stream; feed it in order."""

    @abstractmethod
    def feed(self, data: bytes) -> list[StreamEvent]:
        """Events completed by these bytes, however they are cut. After an error event there are no more."""

    @abstractmethod
    def end(self) -> list[StreamEvent]:
        """The stream closed: what was held back, then the dialect's terminator.

        A stream which closed before its terminal event (`[DONE]`, or at least a finish reason) gives an error
        event (`provider_protocol`) in place of a terminator.
        """

    @property
    def finished(self) -> bool:
        """Whether the dialect's terminal event was read: nothing more is waited for then."""
        return False

    @property
    @abstractmethod
    def outcome(self) -> ChatOutcome:
        """What has been read so far."""


class Provider(ABC):
    """A provider's translation. Instances hold no state: one serves every configuration and caller."""

    spec: ClassVar[ProviderSpec]
    contract_version: ClassVar[int] = CONTRACT_VERSION

    # -- configuration ------------------------------------------------------------------------------------

    def validate_config(self, config: ProviderConfig) -> None:
        """Raises InvalidRequest naming `api_key` or `base_url`."""
        if self.spec.key_required and config.api_key is None:
            raise InvalidRequest.of_field("api_key", f"{self.spec.name} needs a key.")
        if config.api_key is not None and not config.api_key.reveal().isprintable():
            raise InvalidRequest.of_field("api_key", "A key has no control characters.")
        base_url = self.base_url(config)
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRequest.of_field("base_url", "An http or https URL is needed.")
        if parts.username or parts.password:
            raise InvalidRequest.of_field("base_url", "No user or password may be in the URL.")

    def base_url(self, config: ProviderConfig) -> str:
        """Where requests go, without a trailing slash. Raises InvalidRequest when nothing says."""
        url = config.base_url or self.spec.base_url
        if not url:
            raise InvalidRequest.of_field("base_url", f"{self.spec.name} needs a base URL.")
        return url.rstrip("/")

    def headers(self, config: ProviderConfig) -> dict[str, str | Secret]:
        """Default headers and the key, as this provider takes it."""
        headers: dict[str, str | Secret] = {"accept": "application/json", **self.spec.default_headers}
        if config.api_key is not None and self.spec.auth in ("bearer", "aws"):
            headers["authorization"] = Secret(f"Bearer {config.api_key.reveal()}")
        elif config.api_key is not None and self.spec.auth != "none":
            headers[self.spec.auth] = config.api_key
        return headers

    def signing_scope(self, config: ProviderConfig) -> SigningScope | None:
        """What each request is signed for as the function's own role; None where its headers are enough."""
        del config
        return None

    def transport(self) -> HttpTransport | None:
        """A transport of its own, for a provider that needs no network; None for all others."""
        return None

    # -- catalogue ----------------------------------------------------------------------------------------

    @abstractmethod
    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        """The request for one page of the list; None for a provider that has no list, or no such page."""

    @abstractmethod
    def parse_list_models(self, body: bytes) -> ModelPage:
        """Raises ProviderFailed (`provider_protocol`) when it is no list at all; a bad entry is dropped."""

    def build_detail(self, config: ProviderConfig, detail: str) -> WireRequest | None:
        """The request for one of a page's `details`. If it fails, the list is there without what it tells."""
        del config, detail
        return None

    def parse_detail(self, detail: str, body: bytes, models: Mapping[str, ModelInfo]) -> Iterable[ModelInfo]:
        """Models of the list, by id in `models`, with what this answer adds to them.

        Raises ProviderFailed (`provider_protocol`) for an answer that can't be read.
        """
        del detail, body, models
        return ()

    # -- key check ----------------------------------------------------------------------------------------

    @abstractmethod
    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """A request that costs nothing and fails with a bad key; None where there is no such thing."""

    def parse_key_check(self, body: bytes) -> None:
        """Judges a 2xx answer of the key check. Raises ProviderRefused where a 200 still says no."""
        del body

    # -- chat ---------------------------------------------------------------------------------------------

    @abstractmethod
    def build_chat(self, call: ChatCall, config: ProviderConfig) -> WireRequest: ...

    @abstractmethod
    def parse_chat(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        """The answer in the call's dialect.

        Raises what a 200 that holds an error means, or ProviderFailed (`provider_protocol`).
        """

    @abstractmethod
    def read_chat_stream(self, call: ChatCall, price: PriceUsage) -> ChatStreamReader: ...

    # -- beside chat --------------------------------------------------------------------------------------

    def embeddings_at_once(self, call: ChatCall) -> int | None:
        """Texts that one request takes; None for any number.

        A longer input becomes several requests: the next three then get calls with so many texts at most.
        """
        del call
        return None

    def build_embeddings(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        """The call's body is OpenAI's. Raises CannotCarry for a provider that has none."""
        del call, config
        raise CannotCarry(f"{self.spec.name} has no embeddings.", provider=self.spec.slug)

    def parse_embeddings(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        """OpenAI's answer: `{"object": "list", "data": [{"embedding": […], "index": 0}], "usage": {…}}`."""
        del call, body, price
        raise CannotCarry(f"{self.spec.name} has no embeddings.", provider=self.spec.slug)

    def parse_embeddings_response(
        self, call: ChatCall, headers: Mapping[str, str], body: bytes, price: PriceUsage
    ) -> ChatAnswer:
        """As `parse_embeddings`, for a provider that counts in a header (in lower case)."""
        del headers
        return self.parse_embeddings(call, body, price)

    def build_count_tokens(self, call: ChatCall, config: ProviderConfig) -> WireRequest | None:
        """A free request that counts the tokens of a conversation; None for a provider that can't count."""
        del call, config
        return None

    def parse_count_tokens(self, body: bytes) -> int:
        """Tokens of the input."""
        del body
        raise ProviderFailed("It counts no tokens.", code="provider_protocol", provider=self.spec.slug)

    # -- redirects ----------------------------------------------------------------------------------------

    def follow(self, request: WireRequest, headers: Mapping[str, str]) -> WireRequest | None:
        """The GET that a 303 to `request` asks for, where this provider answers so on purpose.

        None, the default, makes it a failure. Whatever is returned, the sender goes to no other origin.
        """
        del request, headers
        return None

    # -- errors -------------------------------------------------------------------------------------------

    @abstractmethod
    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        """The error that a non-2xx answer means: status first, then the vendor's code, text last."""


def provider[P: type[Provider]](cls: P) -> P:
    """Marks the class which a provider's file is about. Raises TypeError when it is incomplete."""
    spec = getattr(cls, "spec", None)
    if not isinstance(spec, ProviderSpec):
        raise TypeError(f"{cls.__name__} has no spec")
    cls.__headgate_provider__ = True  # type: ignore[attr-defined]
    return cls
