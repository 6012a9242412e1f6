"""The description of the whole gateway, though each function serves only its part."""

from functools import cache

import orjson

from headgate import __version__
from headgate.http.access import PUBLIC, access_of
from headgate.http.app import create_api
from headgate.http.docs import SCHEMAS
from headgate.http.routes import accounts, generations, health, models

ROUTERS = {
    "models": models.router,
    "generations": generations.router,
    "accounts": accounts.router,
    "health": health.router,
}


@cache
def whole_api() -> bytes:
    """OpenAPI 3.1 of every route, as JSON bytes; made once per process."""
    api = create_api(ROUTERS.values(), None)
    api.title, api.version = "Headgate", __version__
    document = api.openapi()
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **SCHEMAS}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "hg_…"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    document["security"] = [{"bearer": []}, {"apiKey": []}]
    for route in api.routes:
        access = access_of(getattr(route, "endpoint", None))
        operations = document["paths"].get(getattr(route, "path_format", ""), {})
        for method in getattr(route, "methods", None) or ():
            operation = operations.get(method.lower())
            if operation is None:
                continue
            if access == PUBLIC:
                operation["security"] = []
            elif access is not None:
                operation["x-scope"] = str(access)
            operation["responses"].pop("422", None)
    return orjson.dumps(document)
