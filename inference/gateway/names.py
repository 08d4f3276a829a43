"""Names of models: `trim/pomdp@0.0025` answers under the policy `pomdp:0.0025`.

OpenAI's clients take any name without a colon in stride; a colon means a fine-tuned model to some of them.
"""

import math

from inference.gateway.refusals import ModelNotFoundError

_PREFIX = "trim/"
ALONE = ("weak", "strong")
"""Policies that nobody has to decide."""
_FAMILIES = ("thr", "pomdp", "pomdp-memoryless")
_FORMS = "trim/weak, trim/strong, trim/thr@THRESHOLD, trim/pomdp@LAMBDA and trim/pomdp-memoryless@LAMBDA"


def policy_of(model: str) -> str:
    """The policy id behind a model name.

    Raises:
        ModelNotFoundError: it is no name of ours, or its number is none or out of range.
    """
    name = model.removeprefix(_PREFIX)
    if name in ALONE and model != name:
        return name
    family, _, written = name.partition("@")
    number = _number(written)
    most = 1.0 if family == "thr" else math.inf
    if model == name or family not in _FAMILIES or not 0 <= number <= most or math.isinf(number):
        raise ModelNotFoundError(model, f"the names are {_FORMS}")
    return f"{family}:{number!r}"


def model_of(policy: str) -> str:
    """The model name of a policy id."""
    return _PREFIX + policy.replace(":", "@", 1)


def label_of(policy: str, *, on_offer: bool) -> str:
    """The model as metrics count it, so that clients cannot add labels without end: thresholds go together, and prices not on offer."""
    family = policy.partition(":")[0]
    return model_of(policy) if on_offer and family != "thr" else _PREFIX + family


def _number(written: str) -> float:
    try:
        return float(written)
    except ValueError:
        return math.nan
