"""Reading a caller's JSON object field by field; all that is wrong is named by its path, at once. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from headgate.domain.errors import FieldError, InvalidRequest

_NAMED_IN_DETAIL = 5


class Fields:
    """One JSON object of a request, and where it stands in it.

    A field that is absent or null reads as None, and so does one that is wrong, which is noted for `check`.
    All objects within one request share their notes. `unread` are the fields that nobody asked for.
    """

    def __init__(
        self, value: Mapping[str, Any], path: str = "", faults: list[FieldError] | None = None
    ) -> None:
        self._value = value
        self._path = path
        self._faults = faults if faults is not None else []
        self._read: set[str] = set()

    @property
    def path(self) -> str:
        """Empty for the request itself."""
        return self._path

    @property
    def unread(self) -> dict[str, Any]:
        """What was not asked for and is not null."""
        return {
            name: value for name, value in self._value.items() if name not in self._read and value is not None
        }

    def at(self, name: str) -> str:
        """The path of a field: `messages[2].content`."""
        return f"{self._path}.{name}" if self._path else name

    def fault(self, name: str, message: str) -> None:
        """Notes what is wrong with a field; with an empty name, with this object."""
        self._faults.append(FieldError(self.at(name) if name else self._path, message))

    def check(self) -> None:
        """Raises InvalidRequest with everything that was noted."""
        if self._faults:
            told = self._faults[:_NAMED_IN_DETAIL]
            raise InvalidRequest("; ".join(f"{e.field}: {e.message}" for e in told), errors=self._faults)

    # -- values -------------------------------------------------------------------------------------------

    def raw(self, name: str) -> Any:
        """Whatever stands there."""
        self._read.add(name)
        return self._value.get(name)

    def text(self, name: str, *, required: bool = False) -> str | None:
        """A string; the empty one is one."""
        value = self.raw(name)
        if value is None:
            if required:
                self.fault(name, "is missing; a text is needed.")
            return None
        if isinstance(value, str):
            return value
        self.fault(name, "must be a text.")
        return None

    def word(self, name: str, allowed: Collection[str], *, required: bool = False) -> str | None:
        """One of the strings of `allowed`."""
        value = self.text(name, required=required)
        if value is None or value in allowed:
            return value
        self.fault(name, f"must be one of {', '.join(allowed)}.")
        return None

    def number(self, name: str) -> float | None:
        """A number, as it came: an integer stays one."""
        value = self.raw(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        self.fault(name, "must be a number.")
        return None

    def integer(self, name: str, *, least: int | None = None) -> int | None:
        value = self.raw(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.fault(name, "must be an integer.")
            return None
        if least is not None and value < least:
            self.fault(name, f"must be at least {least}.")
            return None
        return value

    def flag(self, name: str) -> bool | None:
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return value
        self.fault(name, "must be true or false.")
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.raw(name)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        self.fault(name, "must be a list of texts.")
        return ()

    # -- what holds others --------------------------------------------------------------------------------

    def object(self, name: str, *, required: bool = False) -> "Fields | None":
        value = self.raw(name)
        if value is None:
            if required:
                self.fault(name, "is missing; an object is needed.")
            return None
        if isinstance(value, Mapping):
            return self.within(name, value)
        self.fault(name, "must be an object.")
        return None

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """A JSON object that is carried as it is, such as a schema."""
        value = self.raw(name)
        if value is None or isinstance(value, Mapping):
            return value
        self.fault(name, "must be an object.")
        return None

    def objects(self, name: str, *, required: bool = False) -> "list[Fields]":
        """A list of objects; entries that are none are noted and left out."""
        value = self.raw(name)
        if value is None:
            if required:
                self.fault(name, "is missing; a list is needed.")
            return []
        if not isinstance(value, list):
            self.fault(name, "must be a list.")
            return []
        found = []
        for position, entry in enumerate(value):
            if isinstance(entry, Mapping):
                found.append(self.within(f"{name}[{position}]", entry))
            else:
                self.fault(f"{name}[{position}]", "must be an object.")
        return found

    def within(self, name: str, value: Mapping[str, Any]) -> "Fields":
        """An object below this one, whatever way it was found."""
        return Fields(value, self.at(name), self._faults)
