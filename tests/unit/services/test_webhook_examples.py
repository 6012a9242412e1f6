"""Examples of events are what the API would show of real ones, and say that they are examples."""

import re
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from headgate.domain.catalog import ChangeEvent, rfc3339
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.domain.webhooks import EVENTS
from headgate.http.openapi import whole_api
from headgate.http.routes.generations import generation_json
from headgate.services.deliver_webhook import body_of
from headgate.services.webhook_examples import example_of
from headgate.testing.clock import START

GENERATIONS = [name for name in EVENTS if name.startswith("generation.")]
CHANGES = [name for name in EVENTS if name.startswith(("model.", "provider."))]


def sent(name: str) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(body_of(example_of(name, START)))
    return body


@pytest.mark.parametrize("name", EVENTS)
def test_a_body_has_three_members_and_its_data_is_marked(name: str) -> None:
    body = sent(name)
    assert set(body) == {"type", "timestamp", "data"}
    assert (body["type"], body["timestamp"]) == (name, rfc3339(START))
    assert body["data"]["test"] is True
    assert re.fullmatch(r"(gen|bat|evt)_[0-9a-v]{26}", body["data"]["id"])


@pytest.mark.parametrize("name", GENERATIONS)
def test_a_generation_is_as_the_description_has_it(name: str) -> None:
    data = sent(name)["data"]
    document = orjson.loads(whole_api())
    schema = {"$ref": "#/components/schemas/Generation", "components": document["components"]}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(data)
    status = GenerationStatus(name.partition(".")[2])
    shown = generation_json(
        GenerationRecord(id="gen_1", owner="a", key_id="k", type="text", status=status, created_at=START)
    )
    assert data.keys() - {"test"} == shown.keys()
    assert data["status"] == status
    assert (data["output"] is not None) is (status is GenerationStatus.SUCCEEDED)
    assert (data["error"] is not None) is (status in (GenerationStatus.FAILED, GenerationStatus.EXPIRED))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_has_what_a_change_event_has(name: str) -> None:
    data = sent(name)["data"]
    assert data.keys() - {"test"} == set(ChangeEvent.__dataclass_fields__)
    assert data["type"] == name
    assert (data["model_id"] is None) is name.startswith("provider.")
    assert data["before"] != data["after"]


def test_a_batch_is_counted() -> None:
    data = sent("batch.completed")["data"]
    assert set(data) == {"id", "status", "counts", "test"}
    assert set(data["counts"]) == {"queued", "running", "succeeded", "failed", "cancelled"}
