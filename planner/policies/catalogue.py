"""From a policy id to the policy: `weak`, `strong`, `thr:0.5`, `pomdp:0.0025`, `pomdp-memoryless:0.0025`."""

from functools import lru_cache

from kde.filter import MEMORYLESS
from planner.batch import CataloguePolicy
from planner.decision import UnknownPolicyError
from planner.policies.fixed import STRONG, WEAK
from planner.policies.pomdp import TablePolicy
from planner.policies.threshold import ThresholdPolicy
from planner.table import PolicyTable

FORMS = "weak, strong, thr:THRESHOLD, pomdp:LAMBDA or pomdp-memoryless:LAMBDA"
_FIXED: dict[str, CataloguePolicy] = {policy.id: policy for policy in (WEAK, STRONG)}
_FILTERS = {"pomdp": None, "pomdp-memoryless": MEMORYLESS}


class Catalogue:
    """The policies that one planner offers; `table` may be absent where only table-free policies are wanted."""

    def __init__(self, table: PolicyTable | None) -> None:
        self._table = table
        self.get = lru_cache(maxsize=256)(self._resolve)

    def _resolve(self, policy_id: str) -> CataloguePolicy:
        """The policy of this id.

        Raises:
            UnknownPolicyError: the id is malformed, or there is no table, or the table has no such lambda.
        """
        if policy_id in _FIXED:
            return _FIXED[policy_id]
        family, _, parameter = policy_id.partition(":")
        if family == "thr":
            return ThresholdPolicy(policy_id, _number(policy_id, parameter))
        if family in _FILTERS:
            if self._table is None:
                raise UnknownPolicyError(
                    "policy",
                    field="id",
                    value=policy_id,
                    remedy="this planner has no policy table: start it with --tables",
                )
            return TablePolicy(policy_id, self._table, _number(policy_id, parameter), _FILTERS[family])
        raise UnknownPolicyError("policy", field="id", value=policy_id, remedy=f"write {FORMS}")


def _number(policy_id: str, parameter: str) -> float:
    try:
        return float(parameter)
    except ValueError as error:
        raise UnknownPolicyError("policy", field="id", value=policy_id, remedy=f"write {FORMS}") from error
