"""From a policy id to the policy: docs/policies.md says what each does."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from kde.errors import InputError
from kde.filter import MEMORYLESS
from planner.batch import CataloguePolicy
from planner.budget import BudgetTable
from planner.decision import UnknownPolicyError
from planner.policies.budget import BudgetPolicy
from planner.policies.chance import RandomPolicy
from planner.policies.fixed import STRONG, WEAK
from planner.policies.learned import LearnedPolicy
from planner.policies.online import OnlinePolicy
from planner.policies.oracle import OraclePolicy
from planner.policies.pomdp import TablePolicy
from planner.policies.threshold import RSD_THRESHOLD, OneStepThresholdPolicy, ThresholdPolicy, points_threshold
from planner.table import PolicyTable

FORMS = (
    "weak, strong, rsd, thr:THRESHOLD, one-step-thr:THRESHOLD, specreason:POINTS, random:PROBABILITY[:SEED], pomdp:LAMBDA, "
    "pomdp-memoryless:LAMBDA, pomdp-online:LAMBDA, agg:LAMBDA, budget:TOKENS or oracle:LAMBDA"
)
_LONGEST_ID = 64
_FIXED: dict[str, CataloguePolicy] = {
    policy.id: policy for policy in (WEAK, STRONG, ThresholdPolicy("rsd", RSD_THRESHOLD))
}


class Catalogue:
    """The policies that one planner offers.

    Args:
        table: answers for its lambdas; None where only table-free policies are wanted.
        budget: answers for `budget:B`.
        learned: answer for `agg:LAMBDA`, by lambda.
        own: the caller's own policies by id, such as TRIM-Seq, which no server offers.
    """

    def __init__(
        self,
        table: PolicyTable | None,
        *,
        budget: BudgetTable | None = None,
        learned: Mapping[float, LearnedPolicy] | None = None,
        own: Mapping[str, CataloguePolicy] | None = None,
    ) -> None:
        self._own = _FIXED | dict(own or {})
        self._tables = {} if table is None else {entry.lam: table for entry in table.entries}
        self._budget = budget
        self._learned = dict(sorted((learned or {}).items()))
        self._families: dict[str, Callable[[str, str], CataloguePolicy]] = {
            "thr": lambda name, rest: ThresholdPolicy(name, _number(name, rest)),
            "one-step-thr": lambda name, rest: OneStepThresholdPolicy(name, _number(name, rest)),
            "specreason": lambda name, rest: ThresholdPolicy(name, points_threshold(name, _number(name, rest))),
            "random": _random,
            "pomdp": lambda name, rest: TablePolicy(name, *self._table(name, rest)),
            "pomdp-memoryless": lambda name, rest: TablePolicy(name, *self._table(name, rest), MEMORYLESS),
            "pomdp-online": lambda name, rest: OnlinePolicy(name, *self._table(name, rest)),
            "oracle": self._oracle,
            "budget": self._budgeted,
            "agg": self._learned_for,
        }
        self.get = lru_cache(maxsize=256)(self._resolve)

    @classmethod
    def of_versions(
        cls,
        tables: Mapping[float, PolicyTable],
        *,
        budget: BudgetTable | None = None,
        learned: Mapping[float, LearnedPolicy] | None = None,
        own: Mapping[str, CataloguePolicy] | None = None,
    ) -> "Catalogue":
        """The policies of several tables: which table answers for which lambda."""
        catalogue = cls(None, budget=budget, learned=learned, own=own)
        catalogue._tables = dict(sorted(tables.items()))
        return catalogue

    @property
    def tables(self) -> Mapping[float, PolicyTable]:
        """The table of every lambda on offer, ascending."""
        return MappingProxyType(self._tables)

    @property
    def learned(self) -> Mapping[float, LearnedPolicy]:
        """The learned policy of every lambda on offer, ascending."""
        return MappingProxyType(self._learned)

    @property
    def own(self) -> Mapping[str, CataloguePolicy]:
        """The policies that need no artefact of the catalogue, the caller's own among them, by id."""
        return MappingProxyType(self._own)

    @property
    def budget(self) -> BudgetTable | None:
        """What answers for `budget:B`, if anything."""
        return self._budget

    def _resolve(self, policy_id: str) -> CataloguePolicy:
        """The policy of this id.

        Raises:
            UnknownPolicyError: the id is malformed, or no artefact answers for its parameter.
        """
        if policy_id in self._own:
            return self._own[policy_id]
        family, _, parameter = policy_id.partition(":")
        # ids are remembered, here and in metrics: they must not fill the memory
        if family == "seq":
            raise _nothing_to_answer(policy_id, "only what a wire can carry: run TRIM-Seq locally (docs/policies.md)")
        if len(policy_id) > _LONGEST_ID or family not in self._families:
            raise _malformed(policy_id)
        return self._families[family](policy_id, parameter)

    def _table(self, policy_id: str, parameter: str) -> tuple[PolicyTable, float]:
        lam = _number(policy_id, parameter)
        if lam in self._tables:
            return self._tables[lam], lam
        if not self._tables:
            raise _nothing_to_answer(policy_id, "no policy table: start it with --tables")
        raise _unknown_lambda("policy table", lam, self._tables)

    def _oracle(self, policy_id: str, parameter: str) -> OraclePolicy:
        table, lam = self._table(policy_id, parameter)
        return OraclePolicy(policy_id, table.pomdp, lam)

    def _budgeted(self, policy_id: str, parameter: str) -> BudgetPolicy:
        budget = _number(policy_id, parameter)
        if self._budget is None:
            raise _nothing_to_answer(policy_id, "no budget table: `trim tables budget` writes one for --tables")
        return BudgetPolicy(policy_id, self._budget, budget)

    def _learned_for(self, policy_id: str, parameter: str) -> LearnedPolicy:
        lam = _number(policy_id, parameter)
        if lam in self._learned:
            return self._learned[lam].named(policy_id)
        if not self._learned:
            raise _nothing_to_answer(policy_id, "no learned policy: `trim train agg` writes one for --tables")
        raise _unknown_lambda("learned policy", lam, self._learned)


def _random(policy_id: str, parameters: str) -> RandomPolicy:
    probability, _, seed = parameters.partition(":")
    try:
        return RandomPolicy(policy_id, _number(policy_id, probability), int(seed or "0"))
    except ValueError as error:
        raise _malformed(policy_id) from error


def _number(policy_id: str, parameter: str) -> float:
    try:
        return float(parameter)
    except ValueError as error:
        raise _malformed(policy_id) from error


def _malformed(policy_id: str) -> UnknownPolicyError:
    return UnknownPolicyError("policy", field="policy_id", value=policy_id, remedy=f"write {FORMS}")


def _nothing_to_answer(policy_id: str, missing: str) -> UnknownPolicyError:
    return UnknownPolicyError("policy", field="policy_id", value=policy_id, remedy=f"this planner has {missing}")


def _unknown_lambda(what: str, lam: float, known: Mapping[float, object]) -> InputError:
    named = ", ".join(f"{other!r}" for other in known)
    return UnknownPolicyError(what, field="lambda", value=lam, remedy=f"it was built for {named}")
