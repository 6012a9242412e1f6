"""Who may call which route: closed unless the route says otherwise.

Every route is marked `@public` or `@scoped(...)`; the app factory puts one check before each of them, which
reads the mark. A route that forgot its mark answers 403 to everyone.
"""

import time
from collections.abc import Callable
from typing import Any

from fastapi import Request

from headgate.domain.callers import Caller, Scope
from headgate.domain.errors import AccessDenied
from headgate.http.context import services_of

_MARK = "__headgate_access__"
PUBLIC = "public"
_READS = frozenset({"GET", "HEAD"})


def public[F: Callable[..., Any]](endpoint: F) -> F:
    """Anyone may call this route, without a key."""
    setattr(endpoint, _MARK, PUBLIC)
    return endpoint


def scoped[F: Callable[..., Any]](scope: Scope) -> Callable[[F], F]:
    """Callers whose key has the scope may call this route; `admin` has every scope."""

    def mark(endpoint: F) -> F:
        setattr(endpoint, _MARK, scope)
        return endpoint

    return mark


def access_of(endpoint: object) -> Scope | str | None:
    """The mark: a scope, `public`, or None for a route that said nothing and so is closed."""
    mark: Scope | str | None = getattr(endpoint, _MARK, None)
    return mark


def key_text(request: Request) -> str | None:
    """The key as OpenAI's clients send it (`Authorization: Bearer`) or Anthropic's (`x-api-key`)."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        kind, _, text = authorization.partition(" ")
        if kind.lower() == "bearer" and text.strip():
            return text.strip()
    return request.headers.get("x-api-key") or None


async def require_access(request: Request) -> None:
    """The app factory's check before every route. Puts the caller at `request.state.caller`.

    Raises AccessDenied: `unauthenticated` only when no key was given or the key is proved bad; a fault while
    looking it up stays what it is (503).
    """
    access = access_of(request.scope["endpoint"])
    if access == PUBLIC:
        return
    started_s = time.perf_counter()
    services = services_of(request)
    caller = await services.authenticate.caller(key_text(request))
    request.state.timing.add("auth", time.perf_counter() - started_s)
    if not isinstance(access, Scope):
        raise AccessDenied("This route is closed.")
    caller.require(access)
    if access is not Scope.GENERATE or request.method in _READS:  # what generates is counted in the store
        services.reads.check(caller)
    request.state.caller = caller


def caller_of_request(request: Request) -> Caller:
    """The authenticated caller."""
    caller: Caller = request.state.caller
    return caller
