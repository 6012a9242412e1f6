"""A value that never shows itself."""


class Secret:
    """A key or token. `repr`, `str` and formatting are stars; only `reveal()` gives the text."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The plaintext; call it only where the wire request is built."""
        return self._value

    @property
    def hint(self) -> str:
        """The last four characters, for a person to recognise the key by; stars when it is short."""
        return self._value[-4:] if len(self._value) >= 12 else "••••"

    def __repr__(self) -> str:
        return "Secret('••••••••')"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        raise TypeError("a secret is not pickled or copied to disk")
