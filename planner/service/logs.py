"""Structured logs: one JSON object a line on standard error."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from planner.service.network import LogLevel


def log_as_json(level: LogLevel, *, worker: int | None) -> None:
    """Send every log record of this process to standard error as JSON, with the worker's number; the parent of workers has none."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{message}{levelname}{name}",
            style="{",
            timestamp=True,
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"worker": worker},
        )
    )
    logging.basicConfig(level=level.value.upper(), handlers=[handler], force=True)
