"""The gateway: routed generation behind OpenAI's chat completions."""
