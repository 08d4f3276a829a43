"""Decisions from tables in this process: the planner without a network."""

from planner.decision import Carry, Decision, Proposal
from planner.policies.catalogue import Catalogue
from planner.table import PolicyTable


class LocalPlanner:
    """Answers like the server, from a table in memory, from the tables of a catalogue, or, with None, without any."""

    def __init__(self, tables: PolicyTable | Catalogue | None) -> None:
        self._catalogue = tables if isinstance(tables, Catalogue) else Catalogue(tables)

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide under the named policy.

        Raises:
            InputError: the policy is unknown or refuses the input.
        """
        return self._catalogue.get(policy).decide(proposal, carry)
