"""What is to be met, as options of the commands that calibrate."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from kde.errors import InputError
from planner.calibrate import Target


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """A cost or a gain."""

    target_cost: Annotated[float | None, Parameter(help="strong tokens as a share of M_s alone, such as 0.20")] = None
    target_pgr: Annotated[float | None, Parameter(help="performance gap recovered, such as 0.95")] = None

    def wanted(self, what: str) -> tuple[Target, float]:
        """Which of the two, and how much of it; `what` is the command that asks.

        Raises:
            InputError: both are given, or neither.
        """
        if self.target_cost is not None and self.target_pgr is None:
            return Target.COST, self.target_cost
        if self.target_pgr is not None and self.target_cost is None:
            return Target.GAIN, self.target_pgr
        remedy = "give one of --target-cost and --target-pgr"
        raise InputError(what, field="target", value=self.target_cost, remedy=remedy)


NO_TARGET = TargetOptions()
