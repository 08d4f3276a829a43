"""From a policy id to the policy: `weak`, `strong`, `thr:0.5`, `pomdp:0.0025`, `pomdp-memoryless:0.0025`."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from kde.filter import MEMORYLESS
from planner.batch import CataloguePolicy
from planner.decision import UnknownPolicyError
from planner.policies.fixed import STRONG, WEAK
from planner.policies.pomdp import TablePolicy
from planner.policies.threshold import ThresholdPolicy
from planner.table import PolicyTable

FORMS = "weak, strong, thr:THRESHOLD, pomdp:LAMBDA or pomdp-memoryless:LAMBDA"
_LONGEST_ID = 64
_FIXED: dict[str, CataloguePolicy] = {policy.id: policy for policy in (WEAK, STRONG)}
_FILTERS = {"pomdp": None, "pomdp-memoryless": MEMORYLESS}


class Catalogue:
    """The policies that one planner offers; `table` may be absent where only table-free policies are wanted."""

    def __init__(self, table: PolicyTable | None) -> None:
        self._tables = {} if table is None else {entry.lam: table for entry in table.entries}
        self.get = lru_cache(maxsize=256)(self._resolve)

    @classmethod
    def of_versions(cls, tables: Mapping[float, PolicyTable]) -> "Catalogue":
        """The policies of several tables: which table answers for which lambda."""
        catalogue = cls(None)
        catalogue._tables = dict(sorted(tables.items()))
        return catalogue

    @property
    def tables(self) -> Mapping[float, PolicyTable]:
        """The table of every lambda on offer, ascending."""
        return MappingProxyType(self._tables)

    def _resolve(self, policy_id: str) -> CataloguePolicy:
        """The policy of this id.

        Raises:
            UnknownPolicyError: the id is malformed, or no table has its lambda.
        """
        if policy_id in _FIXED:
            return _FIXED[policy_id]
        if len(policy_id) > _LONGEST_ID:  # ids are remembered, here and in metrics: they must not fill the memory
            raise UnknownPolicyError("policy", field="policy_id", value=policy_id, remedy=f"write {FORMS}")
        family, _, parameter = policy_id.partition(":")
        if family == "thr":
            return ThresholdPolicy(policy_id, _number(policy_id, parameter))
        if family in _FILTERS:
            lam = _number(policy_id, parameter)
            return TablePolicy(policy_id, self._table(policy_id, lam), lam, _FILTERS[family])
        raise UnknownPolicyError("policy", field="policy_id", value=policy_id, remedy=f"write {FORMS}")

    def _table(self, policy_id: str, lam: float) -> PolicyTable:
        if lam in self._tables:
            return self._tables[lam]
        if not self._tables:
            remedy = "this planner has no policy table: start it with --tables"
            raise UnknownPolicyError("policy", field="policy_id", value=policy_id, remedy=remedy)
        known = ", ".join(f"{lam!r}" for lam in self._tables)
        raise UnknownPolicyError("policy table", field="lambda", value=lam, remedy=f"it was built for {known}")


def _number(policy_id: str, parameter: str) -> float:
    try:
        return float(parameter)
    except ValueError as error:
        raise UnknownPolicyError("policy", field="policy_id", value=policy_id, remedy=f"write {FORMS}") from error
