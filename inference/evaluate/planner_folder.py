"""What the folder of a study's planner offers: all that a planner serves, and the transformers of TRIM-Seq, which no wire carries."""

from pathlib import Path

from planner.policies.offer import Offer


def read_offer(folder: Path) -> Offer:
    """Everything that decides.

    Raises:
        ArtefactError: an artefact cannot be trusted, or there is none.
        InputError: two answer for one policy.
    """
    if not any(folder.glob("*/sequence.json")):
        return Offer.load(folder)
    from planner.learn.sequence_policy import sequence_policies  # noqa: PLC0415  torch, only where it is needed

    return Offer.load(folder, own=sequence_policies(folder))
