"""RouteLLM's BERT classifier (Ong et al. 2024, section 4.2): an encoder that reads the question and names the winner.

The released router fine-tunes a downloaded BERT. Here nothing is downloaded: a BERT of two layers reads the sentence encoder's fixed token
vectors and is trained from nothing, on three labels: M_s wins, tie, M_w wins.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertModel

from inference.baselines.encoder import SentenceEncoder
from inference.baselines.paired import PairedAnswers, Queries
from kde.artefact import Artefact
from kde.samples import Array
from planner.learn.threads import one_thread

_LAYERS, _HEADS, _HIDDEN, _LONGEST = 2, 4, 128, 192
_EPOCHS, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY = 3, 32, 5e-4, 0.05
_STRONG, _LABELS = 2, 3


class _Classifier(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow = torch.nn.Linear(width, _HIDDEN)
        self.bert = BertModel(  # type: ignore[no-untyped-call]
            BertConfig(
                vocab_size=1,  # it reads vectors
                hidden_size=_HIDDEN,
                num_hidden_layers=_LAYERS,
                num_attention_heads=_HEADS,
                intermediate_size=2 * _HIDDEN,
                max_position_embeddings=_LONGEST,
            )
        )
        self.head = torch.nn.Linear(_HIDDEN, _LABELS)

    def forward(self, vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.bert(inputs_embeds=self.narrow(vectors), attention_mask=mask).pooler_output
        logits: torch.Tensor = self.head(pooled)
        return logits


class ClassifierRouter:
    """A trained classifier.

    Args:
        encoder: gives the token vectors.
        model: three logits a question, for M_w wins, tie, M_s wins.
    """

    kind: ClassVar[str] = "classifier"

    def __init__(self, encoder: SentenceEncoder, model: _Classifier) -> None:
        self._encoder, self._model = encoder, model.eval()

    @classmethod
    def train(cls, answers: PairedAnswers, encoder: SentenceEncoder, seed: int) -> "ClassifierRouter":
        """A few epochs of AdamW over the questions in random order."""
        with one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = _Classifier(encoder.width).train()
            labels = torch.tensor((answers.preferences * 2).astype(np.int64))
            optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
            for _ in range(_EPOCHS):
                for batch in torch.randperm(len(answers)).split(_BATCH):  # type: ignore[no-untyped-call]
                    vectors, mask = _padded(encoder, [answers.queries.questions[place] for place in batch.tolist()])
                    loss = torch.nn.functional.cross_entropy(model(vectors, mask), labels[batch])
                    optimiser.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
        return cls(encoder, model)

    @classmethod
    def restore(cls, found: Artefact, encoder: SentenceEncoder) -> "ClassifierRouter":
        """From what `state` gave."""
        model = _Classifier(encoder.width)
        model.load_state_dict({name: torch.tensor(array) for name, array in found.arrays.items()})
        return cls(encoder, model)

    @torch.inference_mode()
    def strong_wins(self, queries: Queries) -> Array:
        """Probability of the label that M_s wins."""
        with one_thread():
            parts = [
                self._model(*_padded(self._encoder, queries.questions[start : start + _BATCH])).softmax(1)[:, _STRONG]
                for start in range(0, len(queries.questions), _BATCH)
            ]
        return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """The weights."""
        settings = {"layers": _LAYERS, "epochs": _EPOCHS, "learning_rate": _LEARNING_RATE}
        return {name: tensor.numpy() for name, tensor in self._model.state_dict().items()}, settings


def _padded(encoder: SentenceEncoder, questions: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token vectors [n, longest, width] and their mask [n, longest]; of a long question, its end."""
    found = [vectors[-_LONGEST:] for vectors in encoder.token_vectors(questions)]
    longest = max(1, *(len(vectors) for vectors in found))
    padded = np.zeros((len(found), longest, encoder.width), dtype=np.float32)
    mask = np.zeros((len(found), longest), dtype=np.int64)
    for row, vectors in enumerate(found):
        padded[row, : len(vectors)] = vectors
        mask[row, : max(1, len(vectors))] = 1
    return torch.from_numpy(padded), torch.from_numpy(mask)
