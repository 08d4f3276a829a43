"""The sweeps that the paper's authors released: one JSONL file a policy family, one line a setting.

A file is named `trim_FAMILY_BENCHMARK.jsonl`, the benchmark with the models it was run with. Its threshold sweep has both ends:
threshold 0 keeps every step of M_w, threshold 1 rewrites every step by M_s. Means over problems are all that was released, so there
are no intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import Field

from inference.evaluate.sweeps import Ends, Point, Sweep
from kde.errors import InputError
from kde.records import Entry, read_records


class _Row(Entry):
    accuracy: float = Field(ge=0, le=1)
    avg_target_tokens_per_question: float = Field(ge=0, allow_inf_nan=False)

    @property
    def point(self) -> Point:
        return Point(self.key, self.accuracy, self.avg_target_tokens_per_question)

    @property
    def key(self) -> float:
        raise NotImplementedError


class _ThresholdRow(_Row):
    threshold: float = Field(ge=0, le=1)

    @property
    def key(self) -> float:
        return self.threshold


class _PriceRow(_Row):
    cost_per_token: float = Field(gt=0, allow_inf_nan=False)

    @property
    def key(self) -> float:
        return self.cost_per_token


AnyRow = TypeVar("AnyRow", bound=_Row)


@dataclass(frozen=True, slots=True)
class _Family(Generic[AnyRow]):
    name: str
    parameter: str
    row: type[AnyRow]

    def points(self, path: Path) -> list[Point]:
        return [row.point for row in read_records(path, self.row)]


_THRESHOLDS = _Family("TRIM-Thr", "threshold", _ThresholdRow)
_PRICES = _Family("TRIM-POMDP", "cost_per_token", _PriceRow)


@dataclass(frozen=True, slots=True)
class PublishedBenchmark:
    """Released sweeps that share their problems and models.

    Attributes:
        name: benchmark and models, as the files name them.
        sweeps: one a policy family.
    """

    name: str
    sweeps: Sequence[Sweep]


def read_published(folder: Path) -> list[PublishedBenchmark]:
    """Every benchmark of a folder of released sweeps.

    Raises:
        InputError: the folder holds none, or a file is not what its name says.
    """
    places = sorted(folder.glob("trim_thr_*.jsonl"))
    if not places:
        remedy = "name a folder with trim_thr_BENCHMARK.jsonl and, beside it, trim_pomdp_BENCHMARK.jsonl"
        raise InputError("report", field="--published", value=str(folder), remedy=remedy)
    return [_benchmark(folder, place.stem.removeprefix("trim_thr_")) for place in places]


def _benchmark(folder: Path, name: str) -> PublishedBenchmark:
    place = folder / f"trim_thr_{name}.jsonl"
    points = _THRESHOLDS.points(place)
    ends = _ends(place, points)
    sweeps = [Sweep(_THRESHOLDS.name, _THRESHOLDS.parameter, points, ends)]
    prices = folder / f"trim_pomdp_{name}.jsonl"
    if prices.exists():
        sweeps.append(Sweep(_PRICES.name, _PRICES.parameter, _PRICES.points(prices), ends))
    return PublishedBenchmark(name, sweeps)


def _ends(place: Path, points: Sequence[Point]) -> Ends:
    by_threshold = {point.setting: point for point in points}
    missing = [threshold for threshold in (0.0, 1.0) if threshold not in by_threshold]
    if missing:
        remedy = "thresholds 0 and 1 are the two models alone: both lines must be there"
        raise InputError(place, field="threshold", value=sorted(by_threshold), remedy=remedy)
    weak, strong = by_threshold[0.0], by_threshold[1.0]
    if strong.accuracy <= weak.accuracy or not strong.strong_tokens:
        remedy = "M_s alone must be better than M_w alone, at a cost"
        raise InputError(place, field="threshold 1", value=strong.accuracy, remedy=remedy)
    return Ends(weak.accuracy, strong.accuracy, strong.strong_tokens)
