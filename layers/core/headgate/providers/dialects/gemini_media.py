"""Images, documents, sound and video as parts of Gemini's contents, both ways. Pure."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from headgate.domain.conversation import Media
from headgate.domain.errors import CannotCarry
from headgate.providers.dialects.gemini_families import fetches_urls
from headgate.providers.dialects.media import split_data_url

_FILES = "https://generativelanguage.googleapis.com/v1beta/"
_KNOWN_HOSTS = re.compile(
    r"https://(generativelanguage\.googleapis\.com|([\w-]+\.)?youtube\.com|youtu\.be)/", re.IGNORECASE
)
"""Recorded with every generation: files that were uploaded to it, and YouTube."""

# How base64 of well-known formats begins, for data that came without its type.
_BEGINNINGS = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
)

# https://ai.google.dev/gemini-api/docs/file-input-methods (2026-11-20).
_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}


def write_media(media: Media, model: str) -> dict[str, Any]:
    """A part. Raises CannotCarry naming the message for what this model can't be given."""
    if media.data is not None:
        return inline(media.mime_type or _type_of_data(media), media.data)
    if media.file_id is not None:
        return _by_id(media.file_id)
    split = split_data_url(media.url or "")
    if split is not None:
        return inline(split[0], split[1])
    return _by_url(media, model)


def inline(mime_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def kind_of(mime_type: str) -> Literal["image", "file", "audio", "video"]:
    """What a MIME type is, in the words of a conversation."""
    match mime_type.partition("/")[0].lower():
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "file"


def _by_id(file_id: str) -> dict[str, Any]:
    """By the name of an uploaded file (`files/abc`), or its address."""
    if file_id.startswith("files/"):
        return {"fileData": {"fileUri": f"{_FILES}{file_id}"}}
    if file_id.startswith(_FILES):
        return {"fileData": {"fileUri": file_id}}
    raise CannotCarry.field("messages", "a file's id is known to the provider alone that it was uploaded to.")


def _by_url(media: Media, model: str) -> dict[str, Any]:
    url = media.url or ""
    if not url.lower().startswith("https://"):
        raise CannotCarry.field("messages", "Gemini fetches files from https addresses alone.")
    if not _KNOWN_HOSTS.match(url) and not fetches_urls(model):
        raise CannotCarry.field("messages", f"{model} fetches no files by URL; send them as data.")
    data = {"fileUri": url}
    mime_type = media.mime_type or _TYPES.get(urlsplit(url).path.rpartition(".")[2].lower())
    if mime_type:
        data["mimeType"] = mime_type
    return {"fileData": data}


def _type_of_data(media: Media) -> str:
    named = _TYPES.get((media.name or "").rpartition(".")[2].lower())
    found = (kind for beginning, kind in _BEGINNINGS if (media.data or "").startswith(beginning))
    return named or next(found, "application/octet-stream")
