"""What walks name: one of each kind of thing that a path or a body can hold."""

from collections.abc import Mapping

THINGS: Mapping[str, str] = {
    "user_id": "nobody",
    "connection_id": "con_none",
    "webhook_id": "whk_none",
    "key_id": "key_none",
    "project_id": "none",
    "generation_id": "gen_none",
    "model_id": "openai/none",
    "modality": "text",
    "name": "use_provider_registry",
    "model": "openai/own",
    "embedding_model": "openai/text-embedding-own",
    "provider": "openai",
    "api_key": "sk-none-0123456789",
}
"""Things of nobody; a walk puts its own in their place."""
