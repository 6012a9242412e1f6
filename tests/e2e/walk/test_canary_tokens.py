"""An identity provider's token on every route: nothing of it is told, logged, raised or stored."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from headgate.testing.memory import Answer
from tests.e2e.walk.asking import Asking
from tests.e2e.walk.canaries import Canaries
from tests.e2e.walk.routes import whole_walk
from tests.e2e.walk.things import THINGS
from tests.e2e.walk.watching import logged, witnessed
from tests.support.gate import FUNCTIONS, Gate
from tests.support.models import model
from tests.support.provider import listing, said

ISSUER = "https://id.example/realm"
OWN = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def open_realm() -> Gate:
    gate = Gate("alpha", environ={"HEADGATE_OIDC_ISSUER": ISSUER, "HEADGATE_OIDC_AUDIENCE": "headgate"})
    for function in FUNCTIONS.values():
        gate.register(function.services)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OWN.public_key()))
    keys = {"keys": [{**public, "kid": "own", "use": "sig"}]}
    gate.transport.on("openid-configuration", Answer.of_json({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/k"}))
    gate.transport.on(f"{ISSUER}/k", Answer.of_json(keys))
    gate.transport.on("https://alpha.example/chat", said("Hello"))
    gate.transport.on("https://alpha.example", listing(model("alpha/m")))
    await gate.show(model("alpha/m"))
    return gate


def token(gate: Gate, kind: str) -> str:
    ends_s = int(gate.clock.now().timestamp()) + (-600 if kind == "expired" else 300)
    audience = "elsewhere" if kind == "for another audience" else "headgate"
    claims = {"iss": ISSUER, "aud": audience, "sub": "ann", "exp": ends_s, "scope": "admin"}
    key, kid = STRANGER if kind == "another's" else OWN, "new" if kind == "by a new key" else "own"
    text = jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})
    return text[:-40] if kind == "cut" else text


GOOD = ("good", "as an Anthropic key")
BAD = ("expired", "another's", "cut", "by a new key", "for another audience")


@pytest.mark.parametrize("kind", GOOD + BAD)
async def test_nothing_shows_of_a_token(kind: str) -> None:
    gate = await open_realm()
    text = token(gate, kind)
    _, claims, signature = text.split(".")
    # Its head is the same in all tokens. No repr may hold the rest; what it claims is decoded to be used.
    canaries = Canaries(signature=signature, claims=claims)
    asking = Asking(canaries)
    things = {**THINGS, "model": "alpha/m", "embedding_model": "alpha/m", "provider": "alpha"}
    headers = {"x-api-key": text} if kind == "as an Anthropic key" else {}
    with logged(canaries), witnessed(canaries):
        for call in whole_walk(things):
            await asking.ask(call, key=None if headers else text, headers=headers)
    canaries.look("the log", [(entry.event, entry.fields) for entry in gate.log.entries])
    canaries.look("what is stored", [repr(vars(store)) for store in (gate.accounts, gate.generations)])
    canaries.check()
    closed = {status for name, found in asking.statuses.items() if "/v2/keys" in name for status in found}
    assert (closed == {401}) is (kind in BAD)
