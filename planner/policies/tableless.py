"""What policies without a table have in common."""

from planner.decision import Need


class Tableless:
    """Decides from what it is shown; nothing was computed for it, and nothing is carried to it unless it says so."""

    __slots__ = ()

    @property
    def table_hash(self) -> str:
        """There is no table."""
        return ""

    @property
    def needs(self) -> Need:
        """Nothing."""
        return Need.NOTHING
