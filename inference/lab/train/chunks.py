"""Batches made on the fly: never a fixed pool, which small models learn by heart.

Batch `k` is a function of the seed and `k` alone, so that a resumed run sees what an uninterrupted one would have seen
without any generator state on disk.
"""

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import numpy as np

from inference.lab.language import training_rng

BATCH: Final = 14
"""Problems in a batch: about 2,048 tokens with the prompts."""

_BATCHES_PER_CHUNK: Final = 8

Example = TypeVar("Example")
Batch = TypeVar("Batch")


class Chunks(Generic[Example, Batch]):
    """The batches of one training run, made eight at a time and sorted by length, which saves a third in padding.

    Args:
        draw: a random example for the batches around a step, from a generator and that step.
        length: what examples are sorted by.
        collate: a batch of examples as tensors.
        seed: seed of the laboratory.
        stream: sets the run apart from others.
    """

    def __init__(
        self,
        draw: Callable[[np.random.Generator, int], Example],
        length: Callable[[Example], int],
        collate: Callable[[Sequence[Example]], Batch],
        *,
        seed: int,
        stream: int,
    ) -> None:
        self._draw, self._length, self._collate = draw, length, collate
        self._seed, self._stream = seed, stream
        self._chunk_index = -1
        self._chunk: list[list[Example]] = []

    def __getitem__(self, step: int) -> Batch:
        """The batch of training step `step`."""
        index, offset = divmod(step, _BATCHES_PER_CHUNK)
        if index != self._chunk_index:
            self._chunk, self._chunk_index = self._make_chunk(index), index
        return self._collate(self._chunk[offset])

    def _make_chunk(self, index: int) -> list[list[Example]]:
        rng = training_rng(self._seed, self._stream, index)
        step = index * _BATCHES_PER_CHUNK
        examples = sorted((self._draw(rng, step) for _ in range(_BATCHES_PER_CHUNK * BATCH)), key=self._length)
        return [examples[BATCH * place : BATCH * (place + 1)] for place in rng.permutation(_BATCHES_PER_CHUNK)]
