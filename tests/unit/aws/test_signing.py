"""Requests signed as the function's own role."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from headgate.aws.clients import AwsClients
from headgate.aws.signing import RoleSigner
from headgate.domain.errors import ProviderRefused
from headgate.domain.secret import Secret
from headgate.ports import WireRequest

KEY_ID, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session-token-example"
URL = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/anthropic.claude-v1%3A0/converse"


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials but those that a test sets, and nobody is asked for any."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    clients = AwsClients(region="eu-west-1")
    yield clients
    clients.close()


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


def plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def expected_signature(request: WireRequest, moment: str, *, query: str = "") -> str:
    """Signature Version 4 by its description, of a request with a content type and a session's token."""
    host, _, path = request.url.removeprefix("https://").partition("?")[0].partition("/")
    headers = {
        "content-type": "application/json",
        "host": host,
        "x-amz-date": moment,
        "x-amz-security-token": TOKEN,
    }
    canonical = "\n".join(
        [
            request.method,
            quote("/" + path, safe="/-_.~"),
            query,
            *(f"{name}:{value}" for name, value in headers.items()),
            "",
            ";".join(headers),
            hashlib.sha256(request.body or b"").hexdigest(),
        ]
    )
    scope = f"{moment[:8]}/eu-west-1/bedrock/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.usefixtures("role")
@pytest.mark.parametrize(
    ("method", "query", "body"),
    [("POST", "", b'{"messages":[]}'), ("GET", "maxResults=1&type=SYSTEM_DEFINED", None)],
)
async def test_the_signature_is_the_one_that_aws_computes(
    clients: AwsClients, method: str, query: str, body: bytes | None
) -> None:
    url = f"{URL}?{query}" if query else URL
    request = WireRequest(method=method, url=url, headers={"content-type": "application/json"}, body=body)
    added = await RoleSigner(clients).sign(request, service="bedrock", region="eu-west-1")
    moment = plain(added["x-amz-date"])
    assert re.fullmatch(r"\d{8}T\d{6}Z", moment)
    authorization = plain(added["authorization"])
    assert f"Credential={KEY_ID}/{moment[:8]}/eu-west-1/bedrock/aws4_request" in authorization
    assert authorization.endswith(f"Signature={expected_signature(request, moment, query=query)}")


@pytest.mark.usefixtures("role")
async def test_what_is_added_shows_no_secret_and_replaces_nothing(clients: AwsClients) -> None:
    request = WireRequest(method="POST", url=URL, headers={"content-type": "application/json"}, body=b"{}")
    added = await RoleSigner(clients).sign(request, service="bedrock", region="eu-west-1")
    assert added.keys() == {"authorization", "x-amz-date", "x-amz-security-token"}
    assert TOKEN not in repr(added)
    assert "Signature" not in repr(added)
    assert plain(added["x-amz-security-token"]) == TOKEN


async def test_without_credentials_nothing_is_signed(clients: AwsClients) -> None:
    request = WireRequest(method="GET", url=URL)
    with pytest.raises(ProviderRefused) as caught:
        await RoleSigner(clients).sign(request, service="bedrock", region="eu-west-1")
    assert caught.value.code == "provider_auth"
