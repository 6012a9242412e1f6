"""Webhooks through the local runner, told to a receiver on loopback that checks as its makers say."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from headgate.domain.webhooks import EVENTS
from tests.e2e.built.recording import serving
from tests.integration.local_gateway import Gateway, StartGateway, free_port


@dataclass(kw_only=True)
class Receiver:
    """Keeps what it is told at its `url`."""

    url: str = ""
    told: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def last(self, *secrets: str) -> Any:
        """The message that came last, as the holder of each secret reads it."""
        headers, body = self.told[-1]
        read = [Webhook(secret).verify(body, headers) for secret in secrets]
        assert all(each == read[0] for each in read)
        return read[0]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.told.append((dict(self.headers.items()), body))
            status = int(self.path.rpartition("/")[2])
            self.send_response(status)
            self.send_header("location", "/Sc3ret")
            self.end_headers()
            if status != 204:
                self.wfile.write(b"Sc3ret")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with serving(Handler) as made.url:
        yield made


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway) -> Gateway:
    return start_gateway(HEADGATE_MOCK="on", HEADGATE_LOG_LEVEL="DEBUG")


def make(gateway: Gateway, url: str, **fields: Any) -> dict[str, Any]:
    with gateway.client() as client:
        answer = client.post("/v2/webhooks", json={"url": url, "events": ["generation.*"], **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


def try_out(gateway: Gateway, made: dict[str, Any], **asked: Any) -> dict[str, Any]:
    with gateway.client() as client:
        answer = client.post(f"/v2/webhooks/{made['id']}/test", json=asked or None)
        assert answer.status_code == 200, answer.text
        assert "Sc3ret" not in answer.text
        result: dict[str, Any] = answer.json()
        return result


def test_each_event_arrives_as_its_makers_say(gateway: Gateway, receiver: Receiver) -> None:
    made = make(gateway, f"{receiver.url}/in/204")
    for event in EVENTS:
        result = try_out(gateway, made, event=event)
        assert (result["ok"], result["status"], result["event"]) == (True, 204, event)
        message = receiver.last(made["secret"])
        assert (message["type"], message["data"]["test"]) == (event, True)
        assert receiver.told[-1][0]["webhook-id"] == result["message_id"]


def test_after_a_rotation_both_secrets_verify_and_no_third(gateway: Gateway, receiver: Receiver) -> None:
    made = make(gateway, f"{receiver.url}/in/200")
    with gateway.client() as client:
        new = client.post(f"/v2/webhooks/{made['id']}/rotate").json()["secret"]
    assert try_out(gateway, made)["ok"]
    assert receiver.last(made["secret"], new)["type"] == "generation.succeeded"
    other = make(gateway, f"{receiver.url}/in/200")
    with pytest.raises(WebhookVerificationError):
        receiver.last(other["secret"])


@pytest.mark.parametrize(("status", "code"), [(302, "redirected"), (500, "not_accepted")])
def test_an_answer_that_is_no_success_is_told(
    gateway: Gateway, receiver: Receiver, status: int, code: str
) -> None:
    before = len(receiver.told)
    result = try_out(gateway, make(gateway, f"{receiver.url}/in/{status}"))
    assert (result["ok"], result["status"], result["code"]) == (False, status, code)
    assert len(receiver.told) == before + 1


def test_a_receiver_that_is_not_there_is_told(gateway: Gateway) -> None:
    result = try_out(gateway, make(gateway, f"http://127.0.0.1:{free_port()}/"))
    assert (result["ok"], result["status"], result["code"]) == (False, None, "unreachable")


def test_only_its_own_function_can_try_it_and_the_log_tells(gateway: Gateway, receiver: Receiver) -> None:
    made = make(gateway, f"{receiver.url}/Sc3retPath/in/204")
    result = try_out(gateway, made)
    with gateway.client() as client:
        assert client.post(f"/api/v2/webhooks/{made['id']}/test").json()["ok"]
        assert client.get(f"/v2/webhooks/{made['id']}/test").status_code == 405
        events = client.get("/v2/audit?limit=100").json()["data"]
    mine = [event for event in events if event["target"] == made["id"]]
    first = {event["action"]: event for event in reversed(mine)}
    assert [event["action"] for event in mine] == [
        "webhook.create",
        *("webhook.decrypt", "webhook.test") * 2,
    ]
    details = first["webhook.test"]["details"]
    assert details["message_id"] == result["message_id"]
    assert (details["outcome"], details["host"]) == ("delivered", receiver.url.partition("//")[2])
    told = json.dumps(events) + gateway.output
    assert "Sc3ret" not in told
    assert made["secret"].removeprefix("whsec_") not in told
