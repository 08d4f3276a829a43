"""Sentence embeddings, made in this process: static token vectors that a package on the index brings with it.

The weights and the tokenizer are WordLlama's (MIT). Its code is not imported: it sets up the process's logging.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from kde.errors import InputError
from kde.samples import Array

_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"


class SentenceEncoder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """What tells one encoder from another; vectors of two encoders cannot be mixed."""

    @property
    def width(self) -> int:
        """d, numbers a vector."""

    def embed(self, texts: Sequence[str]) -> Array:
        """[n, d] unit vectors, zero for a text without tokens."""

    def token_vectors(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """[n_tokens, d] of each text."""

    def count_tokens(self, texts: Sequence[str]) -> Array:
        """[n] tokens of each text."""


class WordLlamaEncoder:
    """A text's vector is the mean of its tokens' vectors, of length 1.

    Raises:
        InputError: the package is not installed.
    """

    def __init__(self) -> None:
        found = find_spec("wordllama")
        if found is None or not found.submodule_search_locations:
            remedy = "pip install 'trim-routing[routers]'"
            raise InputError("routers", field="wordllama", value="not installed", remedy=remedy)
        folder = Path(found.submodule_search_locations[0])
        weights = (folder / _WEIGHTS).read_bytes()
        self.name = f"wordllama-{hashlib.sha256(weights).hexdigest()[:16]}"
        self._vectors = load(weights)["embedding.weight"].astype(np.float32)
        self._tokenizer_file = folder / _TOKENIZER

    @property
    def width(self) -> int:
        """256."""
        return int(self._vectors.shape[1])

    def embed(self, texts: Sequence[str]) -> Array:
        """Means of token vectors, of length 1."""
        means = np.array(
            [vectors.mean(axis=0) if len(vectors) else np.zeros(self.width) for vectors in self.token_vectors(texts)]
        )
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return np.asarray(np.divide(means, lengths, out=np.zeros(means.shape), where=lengths > 0), dtype=np.float64)

    def token_vectors(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Vectors of each text's tokens."""
        return [self._vectors[ids] for ids in self._ids(texts)]

    def count_tokens(self, texts: Sequence[str]) -> Array:
        """Tokens of each text."""
        return np.array([len(ids) for ids in self._ids(texts)], dtype=np.float64)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [found.ids for found in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer  # noqa: PLC0415  comes with the package

        tokenizer = Tokenizer.from_file(str(self._tokenizer_file))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer
