"""OpenAI's embeddings at Hugging Face's router, which has a path for each provider of them. Pure.

Hugging Face's own servers (`hf-inference`) take texts and give nested lists, the others speak OpenAI's
dialect: https://huggingface.co/docs/inference-providers/tasks/feature-extraction and the client's own
providers, huggingface_hub 2.4.0 (2026-11-20). Who is meant stands behind the id, as with chats: `:scaleway`.
Without that it is `hf-inference`: no call tells who else serves a model, the Hub alone does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import CannotCarry, NotFound
from headgate.providers.dialects import embeddings, listing
from headgate.providers.dialects.canonical import canonical_id
from headgate.providers.dialects.openai_answers import AnswerError, malformed, read_json, trim

NAME = "Hugging Face"
OWN = "hf-inference"
OWN_AT_ONCE = 32
"""Texts that one request to Hugging Face's own servers takes, unless they were started otherwise:
https://huggingface.co/docs/text-embeddings-inference/cli_arguments (2026-11-20), `max-client-batch-size`."""

_PATHS = {
    "deepinfra": "/deepinfra/v1/openai/embeddings",
    "scaleway": "/scaleway/v1/embeddings",
    "together": "/together/v1/embeddings",
}
HOSTS = (OWN, *_PATHS)
"""Whom the router has embeddings of. `:fastest` and its like choose among providers of chats alone."""

_TASKS = frozenset({"feature-extraction", "sentence-similarity"})
"""The Hub's words for a model of embeddings; the latter's models embed as well as the former's."""

_HUB_ID = re.compile(r"(?!\.{1,2}(/|$))[\w.-]+(/(?!\.{1,2}$)[\w.-]+)?", re.ASCII)
_TOKENS_HEADER = "x-compute-tokens"
"""Of Hugging Face's own servers: text-embeddings-inference, `router/src/http/server.rs` (2026-11-20)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A model, by its id on the Hub, at one of HOSTS."""

    model: str
    host: str

    @property
    def path(self) -> str:
        """Below the router's root."""
        if self.host == OWN:
            return f"/{OWN}/models/{quote(self.model)}/pipeline/feature-extraction"
        return _PATHS[self.host]

    @property
    def hosts_name(self) -> str:
        """The model as its host calls it. Scaleway drops the author and all capitals."""
        return self.model.rpartition("/")[2].lower() if self.host == "scaleway" else self.model


def place_of(native_id: str) -> Place:
    """Raises CannotCarry naming `model` for another host's, NotFound for what can't be a model's id."""
    model, _, host = native_id.partition(":")
    if not _HUB_ID.fullmatch(model):
        raise NotFound("No model has such a name.", code="model_not_found")
    if host and host not in HOSTS:
        raise CannotCarry.field("model", f"Embeddings are those of {', '.join(HOSTS)}.")
    return Place(model, host or OWN)


def build_embeddings(body: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The body; the caller's own fields (`normalize`, `prompt_name`) stay in it.

    Floats are always asked for, and packed here where the caller wants base64: not every host knows that.
    Raises InvalidRequest and CannotCarry naming `input`, `dimensions` or `encoding_format`.
    """
    texts = embeddings.read_texts(body, name=NAME)
    embeddings.check_format(body)
    dimensions = embeddings.read_dimensions(body)
    own = {key: value for key, value in body.items() if key not in embeddings.OPENAIS}
    if place.host == OWN:
        if dimensions is not None:
            raise CannotCarry.field("dimensions", f"{OWN} gives all dimensions that a model has.")
        return {**own, "inputs": texts}
    sized = {"dimensions": dimensions} if dimensions is not None else {}
    return {**own, "model": place.hosts_name, "input": texts, **sized}


def parse_embeddings(
    answer: bytes, headers: Mapping[str, str], body: Mapping[str, Any]
) -> tuple[list[list[float]], int | None]:
    """The embeddings in order, and the tokens of the input; None where they are not told.

    body: the caller's. headers: of the answer, in lower case. Raises ProviderFailed (`provider_protocol`).
    """
    value = _read(answer)
    if isinstance(value, list):
        return embeddings.read_vectors(value, body), embeddings.read_count(headers.get(_TOKENS_HEADER))
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise malformed("has no embeddings")
    told = listing.read_object(value.get("usage"))
    tokens = embeddings.read_count(told.get("prompt_tokens"))
    return embeddings.read_vectors([row.get("embedding") for row in _in_order(rows)], body), tokens


def error_inside(answer: bytes) -> dict[str, Any] | None:
    """The object of a 200 that holds an error."""
    value = _read(answer)
    return value if isinstance(value, dict) and value.get("error") else None


def _read(answer: bytes) -> Any:
    try:
        return read_json(trim(answer))
    except AnswerError:
        raise malformed("is not JSON") from None


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By their index, where all have one; else as they came."""
    indices = [row.get("index") for row in rows]
    return sorted(rows, key=lambda row: row["index"]) if _is_whole(indices) else rows


def _is_whole(indices: list[Any]) -> bool:
    """Whether they are each place of the list once."""
    return all(type(each) is int for each in indices) and sorted(indices) == list(range(len(indices)))


# -- the Hub's list ---------------------------------------------------------------------------------------


def read_hub_entry(entry: Mapping[str, Any]) -> list[ModelInfo]:
    """A row for each host that is up, can be called, and is known to call the model as `Place` does.

    `{"id": …, "inferenceProviderMapping": …}`, where the mapping is an object by provider, or a list of
    objects with the provider inside. Raises ValueError for an entry without a usable id or a mapping.
    """
    hub_id = listing.read_id(entry)
    if not _HUB_ID.fullmatch(hub_id):
        raise ValueError("id is not one of the Hub's")
    created_at = listing.read_moment(entry.get("createdAt"))
    rows = []
    for host, told in _mapping(entry.get("inferenceProviderMapping")):
        place = Place(hub_id, host)
        serves = told.get("status") == "live" and told.get("task") in _TASKS
        if not serves or host not in HOSTS or told.get("providerId") != place.hosts_name:
            continue
        native_id = hub_id if host == OWN else f"{hub_id}:{host}"
        rows.append(
            ModelInfo(
                id=f"huggingface/{native_id}",
                canonical_id=canonical_id("huggingface", hub_id),
                provider="huggingface",
                name=native_id,
                modality=Modality.EMBEDDING,
                output_modalities=listing.OUTPUTS[Modality.EMBEDDING],
                created_at=created_at,
            )
        )
    return rows


def _mapping(told: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(told, dict):
        return [(host, each) for host, each in told.items() if isinstance(each, dict)]
    if isinstance(told, list):
        return [(str(each.get("provider")), each) for each in told if isinstance(each, dict)]
    raise ValueError("names nobody who serves it")
