from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inference.engines.base import Sampling
from inference.fleet import EngineKind, Fleet, FleetSettings, open_fleet
from inference.lab.shipped import lab_places


def lab_fleet(kind: EngineKind, temperature: float, logs: Path) -> FleetSettings:
    return FleetSettings(lab_places(), kind, Sampling(temperature=temperature, max_step_tokens=64), logs)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with open_fleet(lab_fleet(EngineKind.TRANSFORMERS, 0.7, tmp_path)) as fleet:
        yield fleet
