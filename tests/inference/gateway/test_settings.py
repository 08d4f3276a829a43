from pathlib import Path
from typing import Any

import pytest

from inference.gateway.settings import GatewaySettings
from kde.errors import InputError


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("lab = true\nboddy_bytes = 2000\n")
    refused: list[tuple[Path | None, dict[str, Any], str]] = [
        (None, {}, "--engines"),
        (None, {"lab": True, "engines": tmp_path}, "--engines"),
        (None, {"lab": True, "listen": "0.0.0.0:0"}, "loopback"),
        (None, {"lab": True, "listen": "unix:x"}, "HOST:PORT"),
        (None, {"lab": True, "server": "a:1", "tables": tmp_path}, "--server"),
        (None, {"lab": True, "fallback": "continue"}, "--server"),
        (None, {"lab": True, "metrics": "0.0.0.0:1"}, "loopback"),
        (config, {}, "boddy_bytes"),
    ]
    for file, options, complaint in refused:
        with pytest.raises(InputError, match=complaint):
            GatewaySettings.read(file, options)
