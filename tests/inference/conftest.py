from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inference.engines.settings import EnginesFile
from inference.fleet import EngineKind, Fleet, engines_at, open_fleet
from inference.lab.shipped import lab_places


def lab_fleet(kind: EngineKind, temperature: float) -> EnginesFile:
    return engines_at(lab_places(), kind, {"temperature": temperature, "max_step_tokens": 64})


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with open_fleet(lab_fleet(EngineKind.TRANSFORMERS, 0.7), tmp_path) as fleet:
        yield fleet
