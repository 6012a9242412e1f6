"""Images, documents, video and sound as Converse takes them: as bytes, with a word for their format. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026-11-20).
"""

import re
from collections.abc import Mapping
from typing import Any

from headgate.domain.conversation import Media
from headgate.domain.errors import CannotCarry

_IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_SOUNDS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    "audio/pcm": "pcm",
    "audio/webm": "webm",
}
_VIDEOS = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_KINDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "image": ("image", _IMAGES),
    "file": ("document", _DOCUMENTS),
    "audio": ("audio", _SOUNDS),
    "video": ("video", _VIDEOS),
}

# What base64 of a format begins with, where no type was told.
_BEGINNINGS = (
    ("iVBORw0KGgo", "png"),
    ("/9j/", "jpeg"),
    ("R0lGOD", "gif"),
    ("UklGR", "webp"),
    ("JVBERi", "pdf"),
)
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9\s\-()\[\]]+")
_MAX_NAME_CHARS = 190
"""Of 200, so that a number can follow."""


class MediaWriter:
    """Writes the media of one request, whose documents must each have a name of their own."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def write(self, media: Media) -> dict[str, Any]:
        """The content block. Raises CannotCarry naming the field for what Bedrock can't be given."""
        if media.data is None:
            what = "a file's id" if media.file_id is not None else "the address of an image or a file"
            raise CannotCarry.field("messages", f"Bedrock fetches nothing: send the data, not {what}.")
        if media.kind == "image" or (media.mime_type or "").lower().startswith("image/"):
            block, formats = _KINDS["image"]
        else:
            block, formats = _KINDS[media.kind]
        form = _format(media, formats)
        if form is None:
            raise CannotCarry.field("messages", f"Bedrock takes no {block} of this format.")
        written: dict[str, Any] = {"format": form, "source": {"bytes": media.data}}
        if block == "document":
            written["name"] = self._name(media)
        return {block: written}

    def _name(self, media: Media) -> str:
        """Letters, digits, single spaces, hyphens, brackets: other signs could smuggle in instructions.

        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html (2026-11-20).
        """
        stem = (media.name or "").rpartition("/")[2]
        stem = stem.rpartition(".")[0] or stem
        told = " ".join(_NOT_IN_NAMES.sub("-", stem).split())[:_MAX_NAME_CHARS].strip() or "document"
        name, number = told, 1
        while name in self._names:
            number += 1
            name = f"{told}-{number}"
        self._names.add(name)
        return name


def _format(media: Media, formats: Mapping[str, str]) -> str | None:
    mime_type = (media.mime_type or "").partition(";")[0].strip().lower()
    if mime_type in formats:
        return formats[mime_type]
    extension = (media.name or "").rpartition(".")[2].lower()
    if extension in formats.values():
        return extension
    begins = (form for beginning, form in _BEGINNINGS if (media.data or "").startswith(beginning))
    found = next(begins, None)
    if found in formats.values():
        return found
    return "txt" if mime_type.startswith("text/") and "txt" in formats.values() else None
