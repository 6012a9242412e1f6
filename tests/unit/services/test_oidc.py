"""A token is taken when it is proved good, refused when it is proved bad; while neither can be, it is 503."""

import asyncio
import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headgate.domain.callers import Scope
from headgate.domain.errors import AccessDenied, GatewayFault, HeadgateError, ProviderFailed
from headgate.services.authenticate import Authenticator
from headgate.services.manage_keys import KeyManager
from headgate.services.oidc import OidcTrust, TokenVerifier, trust_of
from headgate.testing.memory import Answer, MemoryLog
from tests.support.bench import Bench

ISSUER = "https://id.example/realm"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KINDS: Mapping[str, tuple[Any, Any]] = {
    "RS256": (RSA, jwt.algorithms.RSAAlgorithm),
    "ES256": (EC, jwt.algorithms.ECAlgorithm),
    "EdDSA": (ED, jwt.algorithms.OKPAlgorithm),
}


def public(algorithm: str, *, key: Any = None, **more: Any) -> dict[str, Any]:
    private, kind = KINDS[algorithm]
    return {**json.loads(kind.to_jwk((key or private).public_key())), "kid": algorithm, "use": "sig", **more}


KEYS = [public(algorithm) for algorithm in KINDS]


class Realm(Bench):
    """An issuer with `keys`, and a process that trusts it."""

    def __init__(self, keys: Any = None, *, scopes_claim: str = "scope") -> None:
        super().__init__()
        self.transport.on(
            "openid-configuration", Answer.of_json({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/k"})
        )
        self.publish_keys(KEYS if keys is None else keys)
        trust = OidcTrust(issuer=ISSUER, audience="headgate", scopes_claim=scopes_claim)
        self.tokens = TokenVerifier(trust, lambda: self.transport, self.clock, self.log)
        self.authenticate = Authenticator(self.accounts, self.clock, cache_s=60, tokens=self.tokens)

    def publish_keys(self, keys: Any) -> None:
        self.transport.on(f"{ISSUER}/k", Answer.of_json({"keys": keys}))

    def claims(self, **more: Any) -> dict[str, Any]:
        now_s = int(self.clock.now().timestamp())
        return {
            "iss": ISSUER,
            "aud": "headgate",
            "sub": "ann",
            "exp": now_s + 300,
            "scope": "generate models:read",
            **more,
        }

    def token(self, algorithm: str = "RS256", *, key: Any = None, headers: Any = None, **more: Any) -> str:
        claims = {name: value for name, value in self.claims(**more).items() if value is not None}
        given = {"kid": algorithm} if headers is None else headers
        return jwt.encode(claims, key or KINDS[algorithm][0], algorithm=algorithm, headers=given)

    async def refusal(self, token: str) -> HeadgateError:
        with pytest.raises(HeadgateError) as refused:
            await self.authenticate.caller(token)
        assert token not in str(refused.value)
        return refused.value

    @property
    def fetches(self) -> int:
        return sum(request.url.endswith("/k") for request in self.transport.requests)


@pytest.mark.parametrize("algorithm", KINDS)
async def test_a_good_token_gives_its_caller(algorithm: str) -> None:
    realm = Realm()
    caller = await realm.authenticate.caller(realm.token(algorithm))
    assert (caller.user_id, caller.key_id, caller.is_admin) == ("ann", "oidc:ann", False)
    assert caller.scopes == {Scope.GENERATE, Scope.MODELS_READ}
    assert caller.limits.requests_per_minute is None


@pytest.mark.parametrize(
    ("claim", "value", "scopes"),
    [
        ("scope", "admin", {Scope.ADMIN}),
        ("scp", ["generate", "mail", 5], {Scope.GENERATE}),
        ("scope", None, set()),
        ("scope", "", set()),
        ("scope", "openid profile Admin", set()),
        ("scope", {"admin": True}, set()),
        ("scope", 5, set()),
    ],
)
async def test_the_claim_gives_the_scopes_and_others_mean_nothing(
    claim: str, value: Any, scopes: set[Scope]
) -> None:
    realm = Realm(scopes_claim=claim)
    caller = await realm.tokens.caller(realm.token(**{"scope": None, claim: value}))
    assert caller.scopes == scopes


async def test_an_audience_among_several_is_enough() -> None:
    realm = Realm()
    assert (await realm.tokens.caller(realm.token(aud=["x", "headgate"]))).user_id == "ann"


async def test_keys_go_on_working_beside_tokens() -> None:
    realm = Realm()
    manager = KeyManager(realm.accounts, realm.clock, realm.log)
    _, text = await manager.mint(user_id="bob", name="x", scopes=[Scope.GENERATE])
    assert (await realm.authenticate.caller(text.reveal())).user_id == "bob"
    assert (await realm.refusal("hg_no.such.key")).code == "unauthenticated"
    assert realm.transport.requests == []


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"iss": "https://evil.example"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 201},
        {"sub": "a\nb"},
        {"nbf": "later"},
    ],
)
async def test_a_token_with_a_claim_that_is_not_right_is_refused(claims: dict[str, Any]) -> None:
    realm = Realm()
    error = await realm.refusal(realm.token(**claims))
    assert (error.code, error.http_status) == ("unauthenticated", 401)


@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize("late_s", [59, 61])
async def test_clocks_may_differ_by_a_minute(claim: str, late_s: int) -> None:
    realm = Realm()
    now_s = int(realm.clock.now().timestamp())
    claims: dict[str, Any] = {claim: now_s - late_s if claim == "exp" else now_s + late_s}
    token = realm.token(**claims)
    if late_s < 60:
        assert (await realm.tokens.caller(token)).user_id == "ann"
    else:
        assert (await realm.refusal(token)).code == "unauthenticated"


def forged(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def shared(secret: bytes, kid: str, claims: Mapping[str, Any]) -> str:
    """Signed with a secret that is no secret: what anyone can read in the issuer's set of keys."""
    unsigned = forged({"alg": "HS256", "kid": kid}, claims).rpartition(".")[0]
    mac = hmac.digest(secret, unsigned.encode(), "sha256")
    return f"{unsigned}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


async def test_no_signature_and_no_shared_secret_is_taken() -> None:
    realm = Realm(
        [*KEYS, {"kty": "oct", "kid": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "alg": "HS256"}]
    )
    claims = realm.claims()
    as_secret = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    tokens = [
        forged({"alg": "none", "kid": "RS256"}, claims),
        forged({"alg": "None"}, claims),
        forged({"kid": "RS256"}, claims),
        forged({"alg": ["RS256"], "kid": "RS256"}, claims),
        forged({"alg": "RS256", "kid": 5}, claims),
        shared(as_secret, "RS256", claims),
        shared(b"secret-secret-secret-secret", "oct", claims),
        jwt.encode(claims, RSA, algorithm="RS512", headers={"kid": "RS256"}),
        jwt.encode(claims, RSA, algorithm="PS256", headers={"kid": "RS256"}),
        realm.token(key=STRANGER),
        realm.token("ES256", headers={"kid": "RS256"}),
        realm.token("RS256", headers={"kid": "ES256"}),
        realm.token(headers={"kid": "RS256", "crit": ["x"], "x": 1}),
        realm.token()[:-4] + "AAAA",
        "a.b.c",
        "..",
        realm.token(note="x" * 9_000),
    ]
    for token in tokens:
        assert (await realm.refusal(token)).code == "unauthenticated", token[:60]


async def test_a_weak_or_misnamed_key_is_no_key() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = Realm().token(key=weak, headers={"kid": "weak"})
    for entry in (
        public("RS256", key=weak, kid="weak"),
        public("RS256", kid="weak", use="enc"),
        {"kid": "weak"},
    ):
        realm = Realm([entry, 5, None])
        assert (await realm.refusal(token)).code == "unauthenticated"


async def test_without_a_kid_the_one_key_of_that_kind_serves() -> None:
    realm = Realm()
    assert (await realm.tokens.caller(realm.token(headers={}))).user_id == "ann"
    two = Realm([KEYS[0], public("RS256", key=STRANGER, kid="other")])
    assert (await two.refusal(two.token(headers={}))).code == "unauthenticated"


# -- the issuer's keys -------------------------------------------------------------------------------------


async def test_keys_are_fetched_once_an_hour_by_however_many_ask() -> None:
    realm = Realm()
    await asyncio.gather(*(realm.tokens.caller(realm.token()) for _ in range(10)))
    for _ in range(59):
        realm.clock.advance(60)
        await realm.tokens.caller(realm.token())
    assert realm.fetches == 1
    realm.clock.advance(60)
    await realm.tokens.caller(realm.token())
    assert realm.fetches == 2


async def test_a_new_key_of_the_issuer_is_taken_at_once_but_unknown_ones_cost_a_fetch_a_minute() -> None:
    realm = Realm()
    await realm.tokens.caller(realm.token())
    realm.clock.advance(61)
    realm.publish_keys([*KEYS, public("RS256", key=STRANGER, kid="new")])
    await realm.tokens.caller(realm.token(key=STRANGER, headers={"kid": "new"}))
    assert realm.fetches == 2
    for number in range(50):
        await realm.refusal(realm.token(headers={"kid": f"guess {number}"}))
    assert realm.fetches == 2
    realm.clock.advance(60)
    await realm.refusal(realm.token(headers={"kid": "guess"}))
    assert realm.fetches == 3


async def test_a_key_that_the_issuer_dropped_is_dead_within_the_hour() -> None:
    realm = Realm()
    await realm.tokens.caller(realm.token())
    realm.publish_keys([public("RS256", key=STRANGER, kid="new")])
    realm.clock.advance(3600)
    assert (await realm.refusal(realm.token())).code == "unauthenticated"


@pytest.mark.parametrize(
    "step",
    [
        ProviderFailed("no", code="provider_unavailable"),
        ProviderFailed("no", code="provider_timeout"),
        Answer(status=500),
        Answer(status=404, body=b"{}"),
        Answer(body=b"<html>"),
        Answer(body=b"[]"),
        Answer(body=b" " * 1_000_001),
        Answer.of_json({}),
        Answer.of_json({"keys": 5, "issuer": ISSUER}),
        Answer.of_json({"issuer": "https://other.example", "jwks_uri": f"{ISSUER}/k"}),
        Answer.of_json({"issuer": ISSUER, "jwks_uri": "http://id.example/k"}),
        Answer.of_json({"issuer": ISSUER, "jwks_uri": 5}),
    ],
)
@pytest.mark.parametrize("place", ["openid-configuration", f"{ISSUER}/k"])
async def test_while_the_issuers_keys_cant_be_had_no_token_is_called_bad(
    place: str, step: Answer | ProviderFailed
) -> None:
    realm = Realm()
    if place.endswith("/k") and isinstance(step, Answer) and b"jwks_uri" in step.body:
        step = Answer.of_json([])
    realm.transport.on(place, step)
    for _ in range(2):
        error = await realm.refusal(realm.token())
        assert isinstance(error, GatewayFault)
        assert (error.http_status, error.retryable) == (503, True)
        assert error.retry_after_s
    asked = len(realm.transport.requests)
    assert asked <= 2, "a fault is remembered for some seconds"
    assert all(response.closed for response in realm.transport.responses)


async def test_the_issuers_outage_leaves_known_keys_good_for_a_day() -> None:
    realm = Realm([public("RS256")])
    await realm.tokens.caller(realm.token())
    realm.transport.on("openid-configuration", Answer(status=500))
    realm.clock.advance(3600)
    for _ in range(3):
        assert (await realm.tokens.caller(realm.token())).user_id == "ann"
    assert (await realm.refusal(realm.token("ES256"))).http_status == 503, "it may be a new key"
    assert (await realm.refusal(realm.token(key=STRANGER))).code == "unauthenticated"
    realm.clock.advance(24 * 3600)
    assert (await realm.refusal(realm.token())).http_status == 503
    realm.transport.on("openid-configuration", Answer.of_json({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/k"}))
    realm.clock.advance(5)
    assert (await realm.tokens.caller(realm.token())).user_id == "ann"


async def test_after_a_fault_keys_are_asked_for_again_in_seconds() -> None:
    realm = Realm()
    realm.transport.on(f"{ISSUER}/k", Answer(status=500))
    await realm.refusal(realm.token())
    realm.publish_keys(KEYS)
    assert (await realm.refusal(realm.token())).http_status == 503
    realm.clock.advance(5)
    assert (await realm.tokens.caller(realm.token())).user_id == "ann"


async def test_without_trust_a_token_is_a_key_that_nobody_has() -> None:
    realm = Realm()
    plain = Authenticator(realm.accounts, realm.clock, cache_s=60)
    for token in (realm.token(), "a.b.c"):
        with pytest.raises(AccessDenied):
            await plain.caller(token)
    assert realm.transport.requests == []


def test_an_issuer_without_an_audience_is_not_trusted() -> None:
    log = MemoryLog()
    assert trust_of(None, None, "scope", log) is None
    assert log.entries == []
    assert trust_of(ISSUER, None, "scope", log) is None
    assert [entry.event for entry in log.entries] == ["oidc.no_audience"]
    assert trust_of(ISSUER, "a", "scp", log) == OidcTrust(issuer=ISSUER, audience="a", scopes_claim="scp")


async def test_a_token_opens_the_gateway_as_a_key_does() -> None:
    realm = Realm()
    settings = {"HEADGATE_OIDC_ISSUER": ISSUER, "HEADGATE_OIDC_AUDIENCE": "headgate"}
    caller = await realm.process("accounts", **settings).authenticate.caller(realm.token())
    assert caller.key_id == "oidc:ann"
    with pytest.raises(AccessDenied):
        await realm.process("accounts").authenticate.caller(realm.token())
