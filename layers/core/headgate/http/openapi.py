"""The description of the whole gateway, though each function serves only its part."""

from functools import cache

import orjson

from headgate import __version__
from headgate.http.access import PUBLIC, access_of
from headgate.http.account_docs import SCHEMAS as ACCOUNT_SCHEMAS
from headgate.http.app import create_api, routes_of
from headgate.http.connection_docs import SCHEMAS as CONNECTION_SCHEMAS
from headgate.http.model_docs import SCHEMAS as MODEL_SCHEMAS
from headgate.http.routes import accounts, connections, deliver, generations, health, models
from headgate.http.schemas import SCHEMAS

ROUTERS = {
    "models": models.router,
    "generations": generations.router,
    "connections": connections.router,
    "accounts": accounts.router,
    "health": health.router,
    "deliver": deliver.router,
}


@cache
def whole_api() -> bytes:
    """OpenAPI 3.1 of every route, as JSON bytes; made once per process."""
    api = create_api(ROUTERS.values(), None)
    api.title, api.version = "Headgate", __version__
    document = api.openapi()
    components = document.setdefault("components", {})
    components["schemas"] = {**SCHEMAS, **MODEL_SCHEMAS, **CONNECTION_SCHEMAS, **ACCOUNT_SCHEMAS}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "hg_…"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    document["security"] = [{"bearer": []}, {"apiKey": []}]
    for route in routes_of(api):
        access = access_of(route.endpoint)
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            operation["responses"].pop("422", None)
            if access == PUBLIC:
                operation["security"] = []
            elif access is not None:
                operation["x-scope"] = str(access)
    return orjson.dumps(document)
