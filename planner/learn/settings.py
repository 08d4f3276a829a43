"""Every number that a training run depends on, and the two sets of them that have names."""

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kde.errors import InputError


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


class AggFeatures(StrEnum):
    """What TRIM-Agg is shown (`planner.policies.features.FeatureSet`)."""

    PAPER = "paper"
    BELIEF = "belief"


class TrainingSettings(BaseModel):
    """Proximal policy optimisation (arXiv 1707.06347) on whole episodes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: AggFeatures = Field(
        default=AggFeatures.BELIEF, description="what TRIM-Agg is shown: paper, or the belief as well"
    )
    iterations: int = Field(default=200, ge=1, description="rounds of gathering episodes and learning from them")
    episodes: int = Field(default=2048, ge=2, description="episodes of a round")
    epochs: int = Field(default=4, ge=1, description="passes over a round")
    minibatches: int = Field(default=8, ge=1, description="parts that a pass is cut into, by episodes")
    learning_rate: float = Field(default=1e-3, gt=0, description="of Adam, at the start")
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
        named: dict[str, Any] = {}
        if learner is Learner.SEQ:
            named = {
                "width": 32,
                "heads": 2,
                "iterations": 160,
                "episodes": 1024,
                "minibatches": 4,
                "learning_rate": 2e-3,
                "classes": 0.5,
            }  # a transformer is slow
        if preset is Preset.PAPER:
            named |= {
                "features": AggFeatures.PAPER,
                "learning_rate": 1e-4,
                "final_learning_rate": 1e-4,
                "entropy": 0.01,
            }
        try:
            settings = cls(**named | changes)
        except ValidationError as error:
            raise InputError.of_validation("train", error) from error
        if learner is Learner.SEQ and settings.width % settings.heads:
            remedy = f"a multiple of the {settings.heads} heads"
            raise InputError("train", field="width", value=settings.width, remedy=remedy)
        if learner is Learner.AGG and settings.classes:
            raise InputError(
                "train", field="classes", value=settings.classes, remedy="only TRIM-Seq tells the class: 0"
            )
        return settings
