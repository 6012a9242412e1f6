"""The chat completions dialect, as OpenAI wrote it and everyone else speaks it.

https://platform.openai.com/docs/api-reference/chat (2026-11-20). A provider that speaks it is a subclass with
a `spec`, and overrides the hooks where it differs: `models_query`, `gateway_fields`, `parse_model`,
`classify_vendor`, `describe_error`, `read_usage`, `adjust_chat_body`.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import Usage
from headgate.ports import WireRequest
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ChatOutcome,
    ModelPage,
    PriceUsage,
    ProviderConfig,
)
from headgate.providers.dialects import listing, openai_answers, openai_errors
from headgate.providers.dialects.base import BackDialect
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai_chat import OpenAIChat
from headgate.providers.dialects.speaking import DialectProvider

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError)
"""What reading a bad list entry raises; the last two are dates and prices out of range."""


class OpenAICompatible(DialectProvider):
    """A provider that speaks OpenAI's chat completions.

    models_query: the query of the model list.
    """

    models_query: ClassVar[Mapping[str, str]] = {}
    backs: ClassVar[tuple[BackDialect, ...]] = (OpenAIChat(),)

    # -- what a provider overrides ------------------------------------------------------------------------

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        """One entry of the list; None leaves it out on purpose. Fractions in it are Decimal, exactly as sent.

        Raises ValueError, KeyError or TypeError for an entry that can't be read: it is dropped and noted.
        """
        native_id = listing.read_id(entry)
        modality = listing.modality_of_name(native_id)
        return ModelInfo(
            id=f"{self.spec.slug}/{native_id}",
            canonical_id=canonical_id(self.spec.slug, native_id),
            provider=self.spec.slug,
            name=native_id,
            modality=modality,
            output_modalities=listing.OUTPUTS[modality],
            created_at=listing.read_moment(entry.get("created")),
        )

    def classify_vendor(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]
    ) -> HeadgateError | None:
        """What this vendor alone means by a status and an error; None leaves it to the table.

        status: 200 for an error inside a 200 that names none. error: the error object, whatever it was
        wrapped in; its `message` is always a str. Afterwards the detail of what is returned is cleaned, and
        provider, request id, Retry-After and `may_have_run` are filled in.
        """
        del status, error, headers
        return None

    def describe_error(self, error: Mapping[str, Any]) -> str:
        """The provider's reason, in its own words; it is cleaned afterwards."""
        message = error["message"]
        return message if isinstance(message, str) else ""

    def read_usage(self, usage: Mapping[str, Any]) -> Usage:
        """Tokens in our convention. Fractions are Decimal, exactly as sent."""
        return openai_answers.read_usage(usage)

    # -- catalogue ----------------------------------------------------------------------------------------

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        """The whole list in one page, unless a provider overrides this."""
        del page
        if self.spec.models_path is None:
            return None
        query = f"?{urlencode(self.models_query)}" if self.models_query else ""
        return self._get(f"{self.spec.models_path}{query}", config)

    def parse_list_models(self, body: bytes) -> ModelPage:
        """`{"data": […]}`, or the bare list. A 200 that holds an error raises what that means."""
        entries = self._read_list(body)
        models: list[ModelInfo] = []
        dropped: list[str] = []
        for position, entry in enumerate(entries):
            try:
                if not isinstance(entry, dict):
                    raise TypeError("is not an object")
                model = self.parse_model(entry)
            except _UNREADABLE as error:
                name = entry.get("id") if isinstance(entry, dict) else None
                label = openai_errors.clean_reason(str(name)) if name else f"entry {position}"
                dropped.append(f"{label[:100]}: {_why(error)}")
            else:
                if model is not None:
                    models.append(model)
        return ModelPage(models=tuple(models), dropped=tuple(dropped))

    def _read_list(self, body: bytes) -> list[Any]:
        try:
            value = json.loads(
                openai_answers.trim(body).decode(), parse_float=Decimal, parse_constant=lambda _: None
            )
        except (ValueError, RecursionError):
            raise self._no_list() from None
        if isinstance(value, dict) and value.get("error"):
            raise self.judge_inside(value)
        entries = value.get("data") if isinstance(value, dict) else value
        if not isinstance(entries, list):
            raise self._no_list()
        return entries

    # -- key check ----------------------------------------------------------------------------------------

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        """The path that the spec names; None where it names none."""
        path = self.spec.key_check_path
        return None if path is None else self._get(path, config)

    # -- embeddings ---------------------------------------------------------------------------------------

    def build_embeddings(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        """The caller's body with the provider's own model id; unknown fields stay."""
        if self.spec.embeddings_path is None:
            return super().build_embeddings(call, config)
        body = {key: value for key, value in call.body.items() if key not in self.gateway_fields}
        body["model"] = call.model
        return WireRequest(
            method="POST",
            url=f"{self.base_url(config)}{self.spec.embeddings_path}",
            headers=self.headers(config) | {"content-type": "application/json"},
            body=openai_answers.write_json(body),
            guarded=config.guarded,
        )

    def parse_embeddings(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        """As it came, but for `usage.cost`."""
        del call
        body = openai_answers.trim(body)
        answer = openai_answers.read_answer(body)
        if answer.get("error"):
            raise self.judge_inside(answer)
        if not isinstance(answer.get("data"), list):
            raise openai_answers.malformed("has no embeddings")
        usage, reported = None, answer.get("usage")
        if isinstance(reported, Mapping):
            usage = self.read_usage(openai_answers.exact_usage(body, reported))
            usage = replace(usage, output_tokens=usage.output_tokens or 0)
            cost_usd = price(usage) if reported.get("cost") is None else None
            if cost_usd is not None:
                body = openai_answers.add_cost(body, reported, cost_usd)
        return ChatAnswer(body=body, outcome=ChatOutcome(usage=usage))

    # -- errors -------------------------------------------------------------------------------------------

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        """Complete: every status gives an error, never `internal`. See `openai_errors.judge`."""
        return self._classify(status, headers, openai_errors.read_error(body))

    def judge_inside(self, value: Any) -> HeadgateError:
        """What an error inside a 200 means: what it would mean with the status that it names, if it does."""
        error = openai_errors.error_object(value)
        return self._classify(openai_errors.status_inside(error), {}, error)

    def _classify(
        self, status: int | None, headers: Mapping[str, str], error: Mapping[str, Any]
    ) -> HeadgateError:
        verdict = openai_errors.judge(status, error)
        found = self.classify_vendor(status or 200, error, headers)
        if found is None:
            reason = openai_errors.clean_reason(self.describe_error(error))
            answered = f"{self.spec.name} answered {status}" if status else f"{self.spec.name} failed"
            detail = f"{answered}: {reason}" if reason else f"{answered} without a reason."
            found = openai_errors.error_of_code(verdict.code, detail, may_have_run=verdict.may_have_run)
        else:
            found.detail = openai_errors.clean_reason(found.detail) or f"{self.spec.name} gave no reason."
            found.args = (found.detail,)
            found.may_have_run = found.may_have_run or (status is not None and verdict.may_have_run)
        found.provider = self.spec.slug
        found.provider_request_id = found.provider_request_id or openai_errors.request_id(headers)
        if found.retry_after_s is None and status is not None:
            found.retry_after_s = openai_errors.retry_after_s(headers)
        return found


def _why(error: Exception) -> str:
    """Why an entry is left out, in one short line."""
    said = f"{error.args[0]} is missing" if isinstance(error, KeyError) and error.args else str(error)
    return openai_errors.clean_reason(said)[:200] or type(error).__name__
