"""Every number that a training run depends on, and the two sets of them that have names."""

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kde.errors import InputError
from planner.policies.features import FeatureSet


class Learner(StrEnum):
    """What is trained."""

    AGG = "agg"
    """TRIM-Agg: a perceptron on features of the newest proposal."""
    SEQ = "seq"
    """TRIM-Seq: a causal transformer on the sequence of proposals."""


class Preset(StrEnum):
    """A named set of settings."""

    DEFAULT = "default"
    """What comes close to the exact optimum in simulation within minutes."""
    PAPER = "paper"
    """The paper's Table 12: its four features, learning rate 1e-4 throughout, entropy 0.01."""


class Shown(StrEnum):
    """What a learner is shown."""

    PAPER = "paper"
    """What the paper's is: TRIM-Agg the newest proposal, TRIM-Seq the sequence of (r, c)."""
    BELIEF = "belief"
    """TRIM-Agg: the belief as well."""
    LEAST = "least"
    """TRIM-Seq: the least earlier score as well."""


_FEATURES: dict[tuple[Learner, Shown], FeatureSet] = {
    (Learner.AGG, Shown.PAPER): FeatureSet.PAPER,
    (Learner.AGG, Shown.BELIEF): FeatureSet.BELIEF,
    (Learner.SEQ, Shown.PAPER): FeatureSet.SEQUENCE,
    (Learner.SEQ, Shown.LEAST): FeatureSet.SEQUENCE_LEAST,
}
_SEQ: dict[str, Any] = {
    "features": Shown.PAPER,
    "iterations": 300,
    "episodes": 1024,
    "minibatches": 4,
    "classes": 0.5,
    "width": 32,
    "heads": 2,
}
_PAPER: dict[str, Any] = {
    "features": Shown.PAPER,
    "learning_rate": 1e-4,
    "final_learning_rate": 1e-4,
    "entropy": 0.01,
    "iterations": 200,
}


class TrainingSettings(BaseModel):
    """Proximal policy optimisation (arXiv 1707.06347) on whole episodes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Shown = Field(
        default=Shown.BELIEF,
        description="what is shown: paper; TRIM-Agg: belief, as well; TRIM-Seq: least, the least earlier score as well",
    )
    iterations: int = Field(default=100, ge=1, description="rounds of gathering episodes and learning from them")
    episodes: int = Field(default=2048, ge=2, description="episodes of a round")
    epochs: int = Field(default=4, ge=1, description="passes over a round")
    minibatches: int = Field(default=8, ge=1, description="parts that a pass is cut into, by episodes")
    learning_rate: float = Field(default=2e-3, gt=0, description="of Adam, at the start")
    final_learning_rate: float = Field(default=0.0, ge=0, description="at the end; it changes linearly")
    clip: float = Field(default=0.2, gt=0, lt=1, description="the probability ratio counts from 1 - clip to 1 + clip")
    entropy: float = Field(default=0.001, ge=0, description="weight of the entropy bonus")
    value: float = Field(default=0.5, ge=0, description="weight of the critic's squared error")
    classes: float = Field(default=0.0, ge=0, description="weight of TRIM-Seq's learning to tell the trace's class")
    discount: float = Field(default=1.0, gt=0, le=1, description="gamma")
    gae: float = Field(default=0.95, ge=0, le=1, description="lambda of generalised advantage estimation")
    normalise: bool = Field(default=False, description="bring the advantages of a minibatch to mean 0 and variance 1")
    gradient_norm: float = Field(default=0.5, gt=0, description="longer gradients are cut to this")
    width: int = Field(default=128, ge=4, description="units of each hidden layer; a multiple of --heads for TRIM-Seq")
    layers: int = Field(default=2, ge=1, description="layers of TRIM-Seq")
    heads: int = Field(default=4, ge=1, description="attention heads of TRIM-Seq")

    @classmethod
    def of(cls, preset: Preset, learner: Learner, changes: dict[str, Any]) -> Self:
        """The settings of a name, changed where asked.

        Raises:
            InputError: a change is unknown or out of range.
        """
        named = (_SEQ if learner is Learner.SEQ else {}) | (_PAPER if preset is Preset.PAPER else {})
        try:
            settings = cls(**named | changes)
        except ValidationError as error:
            raise InputError.of_validation("train", error) from error
        if learner is Learner.SEQ and settings.width % settings.heads:
            remedy = f"a multiple of the {settings.heads} heads"
            raise InputError("train", field="width", value=settings.width, remedy=remedy)
        if learner is Learner.AGG and settings.classes:
            remedy = "only TRIM-Seq tells the class: 0"
            raise InputError("train", field="classes", value=settings.classes, remedy=remedy)
        settings.shown_to(learner)
        return settings

    def shown_to(self, learner: Learner) -> FeatureSet:
        """What this learner is shown.

        Raises:
            InputError: it cannot be shown that.
        """
        if (learner, self.features) not in _FEATURES:
            known = " or ".join(shown.value for of, shown in _FEATURES if of is learner)
            raise InputError("train", field="features", value=self.features.value, remedy=known)
        return _FEATURES[learner, self.features]
