"""`.env` files. Pure."""

from collections.abc import Iterator


def parse_dotenv(text: str) -> dict[str, str]:
    """`NAME=value` a line; `export` and quotes are taken off, `#` begins a comment, nothing is expanded.

    A line without `=` is passed over.
    """
    return dict(_pairs(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        name = name.strip()
        if equals and name and not name.startswith("#"):
            yield name, _value(value.strip())


def _value(text: str) -> str:
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        return text[1:end] if end > 0 else text
    return "" if text.startswith("#") else text.split(" #", 1)[0].rstrip()
