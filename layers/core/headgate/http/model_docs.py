"""What `/openapi.json` says of the catalogue's routes beside its lists: for decorators, and schemas."""

from typing import Any

from headgate.domain.catalog import Modality
from headgate.http.docs import GONE, answers, body_of
from headgate.http.schemas import BOOLEAN, STRING, STRINGS, TIME, Schema, array, enum, nullable, obj, ref

_PRICE: Schema = nullable("string", description="US dollars, as a decimal text; null is unknown.")
_PRICES: dict[str, Any] = dict.fromkeys(("input", "output", "cache_read", "cache_write", "reasoning"), _PRICE)

SCHEMAS: dict[str, Schema] = {
    "ModelOverrideRequest": obj(
        {
            "enabled": nullable("boolean"),
            "modality": nullable(enum(Modality)),
            "price": nullable(
                obj(
                    {**_PRICES, "units": {"type": "object", "additionalProperties": STRING}},
                    required=[],
                    additionalProperties=False,
                )
            ),
            "note": nullable("string", maxLength=1000),
        },
        required=[],
        additionalProperties=False,
        minProperties=1,
    ),
    "ModelOverride": obj(
        {
            "id": STRING,
            "enabled": nullable("boolean"),
            "modality": nullable(enum(Modality)),
            "price": nullable(ref("Pricing")),
            "note": nullable("string"),
            "updated_at": TIME,
            "updated_by": STRING,
        }
    ),
}

AVAILABILITIES: dict[str, Any] = {"responses": answers(obj({each.value: STRINGS for each in Modality}))}
AVAILABILITY: dict[str, Any] = {"responses": answers(obj({"available": BOOLEAN, "reasons": STRINGS}))}
_STARTED = obj({"started": array(obj({"connection_id": STRING, "provider": STRING}))})
REFRESH: dict[str, Any] = {
    "status_code": 202,
    "responses": {**answers(_STARTED, status=202), 200: answers(_STARTED)[200]},
}
PATCH_OVERRIDE: dict[str, Any] = {
    "responses": answers(ref("ModelOverride")),
    "openapi_extra": body_of("ModelOverrideRequest"),
}
DELETE_OVERRIDE: dict[str, Any] = GONE
