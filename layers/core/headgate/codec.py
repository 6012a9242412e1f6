"""Between our frozen values and JSON, without loss: what stores keep, and what a snapshot's version hashes.

The coding follows from a dataclass's annotations, so a field that is added is kept without a change here.
Fields at their default are left out, and unknown ones are ignored, so that versions of the code can read
each other's values. Decimals are strings, times RFC 3339 in UTC with microseconds, sets sorted lists,
bytes base64.
"""

import base64
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

import orjson

from headgate.domain.catalog import ModelInfo, version_of

Coder = Callable[[Any], Any]
_Coders = tuple[Coder | None, Coder | None]
"""How to encode and how to decode a value that is not None; None where it is JSON as it stands."""

_AS_IS: _Coders = (None, None)


class JsonCodec[T]:
    """Codes one frozen dataclass. Get one from `codec_of`, which keeps them."""

    def __init__(self, cls: type[T]) -> None:
        if not is_dataclass(cls):
            raise TypeError(f"{cls.__name__} is no dataclass")
        hints = get_type_hints(cls)
        self._cls = cls
        self._encoders: list[tuple[str, Any, Coder | None]] = []
        self._decoders: list[tuple[str, Coder]] = []
        self._names = frozenset(hints)
        for field in fields(cls):
            encode, decode = _coders(hints[field.name])
            default = field.default if field.default_factory is MISSING else field.default_factory()
            self._encoders.append((field.name, default, encode))
            if decode is not None:
                self._decoders.append((field.name, decode))

    def encode(self, value: T) -> dict[str, Any]:
        """A JSON object. Raises ValueError for a time without a zone."""
        data = {}
        for name, default, coder in self._encoders:
            item = getattr(value, name)
            if default is MISSING or item != default:
                data[name] = item if coder is None or item is None else coder(item)
        return data

    def decode(self, data: Mapping[str, Any]) -> T:
        """Raises ValueError when it is no such object."""
        names = self._names
        # Most fields are JSON as they stand, so only the others are gone through: lists hold 10,000 of these.
        try:
            known = dict(data)
            if not known.keys() <= names:
                known = {name: item for name, item in data.items() if name in names}
            for name, coder in self._decoders:
                item = known.get(name)
                if item is not None:
                    known[name] = coder(item)
            return self._cls(**known)
        except (TypeError, AttributeError, InvalidOperation) as exc:
            raise ValueError(f"not a stored {self._cls.__name__}") from exc

    def dump(self, value: T) -> bytes:
        """Compact JSON; the same bytes for equal values."""
        return orjson.dumps(self.encode(value), option=orjson.OPT_SORT_KEYS)

    def load(self, content: bytes | str) -> T:
        """Raises ValueError when it is no such object."""
        return self.decode(orjson.loads(content))


_CODECS: dict[type[Any], JsonCodec[Any]] = {}


def codec_of[T](cls: type[T]) -> JsonCodec[T]:
    """The codec of a dataclass, built once (0.2 ms)."""
    codec = _CODECS.get(cls)
    if codec is None:
        codec = _CODECS[cls] = JsonCodec(cls)
    return codec


def dump_models(models: Iterable[ModelInfo]) -> bytes:
    """A list of models as compact JSON; the same bytes for equal lists."""
    return _dump_all([codec_of(ModelInfo).encode(model) for model in models])


def load_models(content: bytes) -> tuple[ModelInfo, ...]:
    """Raises ValueError when it is no list of models."""
    entries = orjson.loads(content)
    if not isinstance(entries, list):
        raise ValueError("not a list of models")
    decode = codec_of(ModelInfo).decode
    return tuple([decode(entry) for entry in entries])


def snapshot_version(models: Iterable[ModelInfo]) -> str:
    """The version of a list, 24 hex digits: the same for lists that differ only in when prices were read."""
    entries = [codec_of(ModelInfo).encode(model) for model in models]
    for entry in entries:
        if entry.get("pricing"):
            entry["pricing"].pop("as_of", None)
    return version_of(_dump_all(entries))


def _dump_all(entries: list[dict[str, Any]]) -> bytes:
    return orjson.dumps(entries, option=orjson.OPT_SORT_KEYS)


def _encode_time(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC).isoformat()


def _encode_bytes(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decode_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _encode_enum(member: Enum) -> Any:
    return member.value


_SCALARS: Mapping[Any, _Coders] = {
    **dict.fromkeys((str, int, float, bool, Any), _AS_IS),
    datetime: (_encode_time, datetime.fromisoformat),
    Decimal: (str, Decimal),
    bytes: (_encode_bytes, _decode_bytes),
}


def _coders(hint: Any) -> _Coders:
    """Raises TypeError for an annotation that has no coding."""
    while isinstance(hint, TypeAliasType):
        hint = hint.__value__
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _coders_of_optional(hint)
    if origin is not None:
        return _coders_of_generic(hint, origin)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _encode_enum, hint
    if is_dataclass(hint) and isinstance(hint, type):
        codec: JsonCodec[Any] = codec_of(hint)
        return codec.encode, codec.decode
    raise TypeError(f"no coding for {hint}")


def _coders_of_optional(hint: Any) -> _Coders:
    inner = [arg for arg in get_args(hint) if arg is not types.NoneType]
    if len(inner) != 1:
        raise TypeError(f"no coding for {hint}")
    return _coders(inner[0])


def _coders_of_generic(hint: Any, origin: Any) -> _Coders:
    args = get_args(hint)
    if origin is Literal:
        return _AS_IS
    if origin in (dict, Mapping):
        encode, decode = _coders(args[1])
        return _each_value(encode), _each_value(decode)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        encode, decode = _coders(args[0])
        return _each(encode, list), _each(decode, tuple)
    if origin is frozenset:
        encode, decode = _coders(args[0])
        return _each(encode, sorted), _each(decode, frozenset)
    raise TypeError(f"no coding for {hint}")


def _each(coder: Coder | None, build: Callable[[Iterable[Any]], Any]) -> Coder:
    if coder is None:
        return build
    return lambda items: build([coder(item) for item in items])


def _each_value(coder: Coder | None) -> Coder:
    if coder is None:
        return dict
    return lambda items: {name: coder(item) for name, item in items.items()}
