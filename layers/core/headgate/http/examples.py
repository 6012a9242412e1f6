"""A request for each schema of a body, as `/openapi.json` shows it; each is answered as it stands.

Models are the mock provider's, which the local runner has without any key.
"""

from typing import Any

_CHAT: dict[str, Any] = {
    "model": "mock/chat",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 16,
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "ChatCompletionRequest": _CHAT,
    "MessagesRequest": _CHAT,
    "ResponsesRequest": {"model": "mock/chat", "input": "Say hello.", "max_output_tokens": 16},
    "EmbeddingsRequest": {"model": "mock/embed", "input": "A gate, seen from above."},
    "GenerationRequest": {
        "type": "text",
        "model": "mock/chat",
        "config": {"prompt": "Say hello.", "max_tokens": 16},
        "metadata": {"scene_id": "7"},
    },
    "ConnectionRequest": {"name": "Work", "type": "openai", "api_key": "sk-example-0123456789"},
    "ConnectionPatch": {"name": "Work, until June", "is_active": True},
    "ConnectionTestRequest": {"generate": False},
    "WebhookRequest": {"url": "https://hooks.example.com/headgate", "events": ["generation.succeeded"]},
    "WebhookTestRequest": {"event": "generation.succeeded"},
    "KeyRequest": {
        "user_id": "ann",
        "name": "Laptop",
        "scopes": ["models:read", "generate"],
        "limits": {"requests_per_minute": 60, "credits_per_day": {"amount": "5", "currency": "USD"}},
    },
    "RotateRequest": {"grace_s": 3600},
    "ProjectRequest": {"owner_user_id": "ann", "settings_user_id": "ann", "members": ["bob"]},
    "SettingsRequest": {
        "default_models": {"text": "mock/chat"},
        "providers": {"embedding": "mock"},
        "flags": {"new_editor": True},
    },
    "GrantRequest": {"user_id": "ann", "amount": "10", "reason": "Paid on 1 June"},
    "FlagRequest": {"enabled": True},
    "ModelOverrideRequest": {"enabled": False, "note": "Too dear for drafts"},
}
