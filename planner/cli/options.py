"""Settings as options of a command."""

from typing import Any

from pydantic import BaseModel, Field, create_model


def options_of(settings: type[BaseModel]) -> Any:
    """A model of the same fields, each of which may be absent, so that a file can speak for it."""
    fields: dict[str, Any] = {
        name: (setting.annotation | None if setting.annotation else Any, Field(None, description=_help(setting)))
        for name, setting in settings.model_fields.items()
    }
    return create_model("Options", **fields)


def _help(setting: Any) -> str:
    if setting.is_required() or setting.default in (None, False):
        return str(setting.description)
    return f"{setting.description} [{getattr(setting.default, 'value', setting.default)}]"
