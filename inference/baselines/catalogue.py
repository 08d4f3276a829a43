"""The query-level routers by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from inference.baselines.automix import AutoMixRouter
from inference.baselines.encoder import SentenceEncoder
from inference.baselines.factorisation import FactorisationRouter
from inference.baselines.paired import PairedAnswers
from inference.baselines.router import QueryRouter, Train, read_state
from inference.baselines.similarity import SimilarityRouter
from kde.artefact import Artefact
from kde.errors import ArtefactError, InputError
from kde.samples import Array, Groups


@dataclass(frozen=True, slots=True)
class Method:
    """How one kind of router is learnt and restored."""

    train: Train
    restore: Callable[[Artefact, SentenceEncoder], QueryRouter]


def _train_classifier(answers: PairedAnswers, encoder: SentenceEncoder, seed: int) -> QueryRouter:
    from inference.baselines.classifier import ClassifierRouter  # noqa: PLC0415  torch, only where it is asked for

    return ClassifierRouter.train(answers, encoder, seed)


def _restore_classifier(found: Artefact, encoder: SentenceEncoder) -> QueryRouter:
    from inference.baselines.classifier import ClassifierRouter  # noqa: PLC0415  as above

    return ClassifierRouter.restore(found, encoder)


ROUTELLM = {
    "similarity": Method(SimilarityRouter.train, SimilarityRouter.restore),
    "factorisation": Method(FactorisationRouter.train, FactorisationRouter.restore),
    "classifier": Method(_train_classifier, _restore_classifier),
}
METHODS = {**ROUTELLM, "automix": Method(AutoMixRouter.train, AutoMixRouter.restore)}


def load_router(directory: Path, encoder: SentenceEncoder) -> QueryRouter:
    """A router that was kept.

    Raises:
        ArtefactError: it cannot be trusted.
        InputError: it was made with another encoder.
    """
    found = read_state(directory, encoder)
    method = METHODS.get(found.body["router"])
    if method is None:
        raise ArtefactError(directory, f"its router is {found.body['router']!r}", remedy=f"known: {', '.join(METHODS)}")
    return method.restore(found, encoder)


def held_out_scores(
    answers: PairedAnswers, problem: Groups, encoder: SentenceEncoder, train: Train, *, folds: int, seed: int
) -> Array:
    """[n] scores of every answer by a router that was trained on the problems of the other folds.

    Scores are ranks within a fold, as shares of it: routers of two folds need not mean the same by the same score.

    Args:
        answers: n answers of both models.
        problem: [n] number of each one's problem, from 0.
        encoder: of the texts.
        train: learns a router.
        folds: parts that the problems are dealt into.
        seed: of the dealing and of the training.

    Raises:
        InputError: there are fewer problems than folds.
    """
    count = int(problem.max()) + 1
    if count < folds:
        remedy = f"cross-validation needs at least {folds}: answer more"
        raise InputError("routers", field="problems", value=count, remedy=remedy)
    fold = (np.random.default_rng(seed).permutation(count) % folds)[problem]
    scores = np.empty(len(answers))
    for number in range(folds):
        held = np.flatnonzero(fold == number)
        router = train(answers.take(np.flatnonzero(fold != number)), encoder, seed)
        scores[held] = rankdata(router.strong_wins(answers.take(held).queries)) / len(held)
    return scores
