"""Images, documents and sound as data URLs and MIME types, which dialects tell differently. Pure."""

import base64
import binascii

from headgate.domain.conversation import Media

AUDIO_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/opus",
    "pcm16": "audio/pcm",
    "aiff": "audio/aiff",
}
"""MIME types of the formats that OpenAI and OpenRouter name."""

_AUDIO_FORMATS = {mime: name for name, mime in AUDIO_TYPES.items()} | {
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp3": "mp3",
}


def split_data_url(url: str) -> tuple[str, str] | None:
    """MIME type and base64 data of a `data:` URL; None for one that is none, or holds no base64."""
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:":
        return None
    parts = head[5:].split(";")
    if parts[-1].strip().lower() != "base64" or not data:
        return None
    return parts[0].strip().lower(), data


def data_url(media: Media) -> str:
    """The `data:` URL of media that is there as data."""
    return f"data:{media.mime_type or 'application/octet-stream'};base64,{media.data}"


def audio_format(mime_type: str | None) -> str | None:
    """OpenAI's word for a sound's format."""
    return _AUDIO_FORMATS.get((mime_type or "").partition(";")[0].strip().lower())


def encode_text(text: str) -> str:
    """A text document as base64."""
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def decode_text(media: Media) -> str | None:
    """What a text document says; None where it is something else, or not UTF-8."""
    if media.data is None or not (media.mime_type or "").lower().startswith("text/"):
        return None
    try:
        return base64.b64decode(media.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
