"""A text that matches a regular expression of the kind that schemas hold. Pure.

Understands literals, escapes, classes, groups, alternatives and quantifiers; anchors match the text's ends.
Look-around and back-references are not understood.
"""

import re
import string

_ESCAPES = {"d": string.digits, "w": string.ascii_lowercase + string.digits + "_", "s": " "}
_ANYTHING = string.ascii_lowercase + string.digits + " -_./:@#"
_MAX_REPEATS = 1_000
_MAX_CHARS = 10_000
_QUANTIFIER = re.compile(r"\{(\d+)(,?)(\d*)\}")


def text_for(pattern: str, least: int, most: int) -> str | None:
    """A text of `least` to `most` characters in which `pattern` is found; None when none was thought of."""
    for extra in (0, 1, 2, 4, 8, least, max(0, least - 1)):
        try:
            text = _Pattern(pattern, extra).text()
            if not re.search(pattern, text):
                continue
        except (re.error, ValueError, LookupError, StopIteration, RecursionError):
            return None
        if len(text) < least and re.search(pattern, text.ljust(least, "x")):
            text = text.ljust(least, "x")
        if least <= len(text) <= most:
            return text
    return None


class _Pattern:
    """One pass over a pattern, writing a text; open quantifiers repeat `extra` times above their least."""

    def __init__(self, pattern: str, extra: int) -> None:
        self._pattern = pattern
        self._extra = extra
        self._at = 0

    def text(self) -> str:
        return self._alternatives()

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _alternatives(self) -> str:
        """The first alternative; the others are read past."""
        text = self._sequence()
        while self._peek() == "|":
            self._at += 1
            self._sequence()
        return text

    def _sequence(self) -> str:
        out = []
        while (char := self._peek()) and char not in "|)":
            self._at += 1
            if char in "^$":
                continue
            out.append(self._repeated(self._atom(char)))
        return "".join(out)

    def _atom(self, char: str) -> str:
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()[:1]
        return "a" if char == "." else char

    def _group(self) -> str:
        if self._pattern.startswith("?", self._at):
            named = re.compile(r"\?(?::|P?<\w+>)").match(self._pattern, self._at)
            if named is None:
                raise ValueError("look-around")
            self._at = named.end()
        text = self._alternatives()
        self._at += 1
        return text

    def _escape(self) -> str:
        """The characters that an escape stands for."""
        char = self._peek()
        self._at += 1
        if char in "bBAZz":
            return ""
        if char.isdigit():
            raise ValueError("back-reference")
        if char.lower() in _ESCAPES and char.isupper():
            return "".join(one for one in "-a1 " if one not in _ESCAPES[char.lower()])
        return _ESCAPES.get(char, {"n": "\n", "t": "\t", "r": "\r"}.get(char, char))

    def _class(self) -> str:
        negated = self._peek() == "^"
        self._at += negated
        members: list[str] = []
        while self._peek() != "]" or not members:
            char = self._peek()
            if not char:
                raise ValueError("open class")
            self._at += 1
            chars = self._escape() if char == "\\" else char
            after = self._pattern[self._at + 1 : self._at + 2]
            if len(chars) == 1 and self._peek() == "-" and after not in ("]", ""):
                self._at += 1
                last = self._peek()
                self._at += 1
                last = self._escape() if last == "\\" else last
                chars = "".join(chr(code) for code in range(ord(chars), ord(last) + 1)[:512])
            members.append(chars)
        self._at += 1
        allowed = "".join(members)
        return next(one for one in _ANYTHING if one not in allowed) if negated else allowed[:1]

    def _repeated(self, text: str) -> str:
        least, open_ended = 1, False
        char = self._peek()
        counted = _QUANTIFIER.match(self._pattern, self._at)
        if char in ("*", "+", "?") and char:
            least, open_ended = int(char == "+"), char != "?"
            self._at += 1
        elif counted:
            least = int(counted[1])
            if least > _MAX_REPEATS:
                raise ValueError("too long")
            open_ended = bool(counted[2]) and (not counted[3] or int(counted[3]) >= least + self._extra)
            self._at = counted.end()
        else:
            return text
        if self._peek() in ("?", "+") and self._peek():
            self._at += 1  # lazy or possessive: the same texts
        repeated = text * (least + (self._extra if open_ended else 0))
        if len(repeated) > _MAX_CHARS:
            raise ValueError("too long")
        return repeated
