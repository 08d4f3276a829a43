"""Training of the process reward model, which verifies the steps of a solution.

Its lower layers are the strong language model's, frozen; two fresh layers stand on top. The strong model holds the digit
it would write itself after its last layer, so the first fresh layer can compare it with the digit written, and the
second looks, at the step tag, for any wrong digit so far. Without the dense loss on every token, read after the first
fresh layer through a head that is dropped later, nothing is learned in this budget.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM, Qwen2Model

from inference.lab.architecture import LANGUAGE_MODEL_LAYERS, process_reward_model_config
from inference.lab.language import STEP_SEPARATOR, solve, training_rng
from inference.lab.tokenizer import STEP_TAG, chat_prompt
from inference.lab.train.batches import IGNORED
from inference.lab.train.chunks import Chunks
from inference.lab.train.loop import Plan, Progress, Run, train
from inference.lab.train.planted import PlantedSolution, plant
from inference.lab.train.verifier_quality import score_steps, verifier_quality
from inference.scorers.process_reward_model import ProcessRewardModel

_STATE_WEIGHTS = (1.0, 0.5, 3.0)
"""Weight of a step in the score loss by its state: all right (S0), an earlier one wrong (S1), only this one (S2)."""

_WRONG_TOKEN_WEIGHT = 40.0
_DENSE_LAYER = LANGUAGE_MODEL_LAYERS + 1
_COMMON_FACTOR = 0.3
_LAST_MLP_FACTOR = 0.2


@dataclass(frozen=True, slots=True)
class VerifierBatch:
    """Right-padded solutions with labels.

    Attributes:
        tokens: `[B, T]` int64, chat prompt, then each step followed by the step tag.
        steps: `[B, T]` int64, at step tags 0, 1, 2 for S0, S1, S2; -100 elsewhere.
        written: `[B, T]` int64, at tokens of steps 1 if right given what stands before, 0 if wrong; -100 elsewhere.
    """

    tokens: torch.Tensor
    steps: torch.Tensor
    written: torch.Tensor


class Verifier(torch.nn.Module):
    """The PRM in training, with the head of the dense loss beside it.

    Attributes:
        prm: the model to ship.
        dense: Linear [2, H], reads the output of the first fresh layer; dropped after training.
    """

    def __init__(self, strong: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.prm = ProcessRewardModel(process_reward_model_config(tokenizer))
        self.dense = torch.nn.Linear(strong.config.hidden_size, 2)
        trunk = self.prm.model
        trunk.embed_tokens.load_state_dict(strong.model.embed_tokens.state_dict())
        # The lower layers know the blank line between steps; the step tag takes its place.
        tag, separator = tokenizer.convert_tokens_to_ids(STEP_TAG), tokenizer.encode(STEP_SEPARATOR)[0]
        with torch.no_grad():
            trunk.embed_tokens.weight[tag] = trunk.embed_tokens.weight[separator]
        trunk.embed_tokens.requires_grad_(requires_grad=False)
        lower = trunk.layers[:LANGUAGE_MODEL_LAYERS]
        for mine, theirs in zip(lower, strong.model.layers, strict=True):
            mine.load_state_dict(theirs.state_dict())
            mine.requires_grad_(requires_grad=False)
        _soften(trunk)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits `[B, T, 2]` of the score and of the dense head."""
        output = self.prm.model(input_ids=tokens, use_cache=False, output_hidden_states=True)
        return self.prm.score(output.last_hidden_state), self.dense(output.hidden_states[_DENSE_LAYER])


@torch.no_grad()
def _soften(trunk: Qwen2Model) -> None:
    """Makes room in the residual stream of the frozen layers for what fresh ones write, losing nothing they know.

    The strong model is so sure of its next token that the last frozen MLP drowns everything else, above all the digit that
    is being judged; only the output, which the PRM has not, reads that MLP, so it can be scaled alone. The lower layers
    read the stream through RMS norms, which undo any common factor.
    """
    last = f"layers.{LANGUAGE_MODEL_LAYERS - 1}.mlp.down_proj.weight"
    for name, parameter in trunk.named_parameters():
        if parameter.requires_grad:
            continue
        if name.endswith(("embed_tokens.weight", "o_proj.weight", "down_proj.weight")):
            parameter.mul_(_COMMON_FACTOR)
        if name == last:
            parameter.mul_(_LAST_MLP_FACTOR)


def train_process_reward_model(
    plan: Plan,
    strong: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    *,
    state: Path,
    report: Callable[[Progress], None],
) -> ProcessRewardModel:
    """The trained PRM on top of `strong`; goes on from `state` if that exists."""
    with torch.random.fork_rng():
        torch.manual_seed(int(training_rng(plan.seed, plan.stream, _INITIAL_WEIGHTS).integers(2**62)))
        verifier = Verifier(strong, tokenizer)
    batches = Chunks(
        lambda rng, _: plant(rng),
        lambda solution: len(solution.problem),
        partial(label, tokenizer),
        seed=plan.seed,
        stream=plan.stream,
    )
    step_weights = torch.tensor(_STATE_WEIGHTS)

    def loss(step: int) -> tuple[torch.Tensor, int]:
        batch = batches[step]
        score, dense = verifier(batch.tokens)
        tags, labelled = batch.steps != IGNORED, batch.written != IGNORED
        states = batch.steps[tags]
        score_loss = torch.nn.functional.cross_entropy(score[tags], (states == 0).long(), reduction="none")
        weights = step_weights[states]
        dense_loss = torch.nn.functional.cross_entropy(
            dense[labelled], batch.written[labelled], weight=torch.tensor([_WRONG_TOKEN_WEIGHT, 1.0])
        )
        return (score_loss * weights).sum() / weights.sum() + dense_loss, batch.tokens.numel()

    rng = training_rng(plan.seed, plan.stream, _VALIDATION)
    planted = [plant(rng) for _ in range(_VALIDATION_SOLUTIONS)]
    problems = [solve(solution.problem, name="validation") for solution in planted]
    solutions = [solution.steps for solution in planted]

    def measure() -> tuple[Mapping[str, float], bool]:
        quality = verifier_quality(score_steps(verifier.prm, tokenizer, problems, solutions))
        return {kind.value: 1 - auc for kind, auc in quality.by_operation.items()}, False

    train(Run(plan, verifier, _is_matrix, loss, measure, state), report)
    return verifier.prm


_VALIDATION, _INITIAL_WEIGHTS = 2**31, 2**31 + 1
_VALIDATION_SOLUTIONS = 300


def label(tokenizer: PreTrainedTokenizerBase, solutions: Sequence[PlantedSolution]) -> VerifierBatch:
    """The solutions as the PRM reads them."""
    rows = [_label_one(tokenizer, solution) for solution in solutions]
    shape = (len(rows), max(len(tokens) for tokens, _, _ in rows))
    tokens = torch.full(shape, tokenizer.pad_token_id, dtype=torch.int64)
    steps, written = (torch.full(shape, IGNORED, dtype=torch.int64) for _ in range(2))
    for index, (row_tokens, row_steps, row_written) in enumerate(rows):
        tokens[index, : len(row_tokens)] = torch.tensor(row_tokens)
        steps[index, : len(row_tokens)] = torch.tensor(row_steps)
        written[index, : len(row_tokens)] = torch.tensor(row_written)
    return VerifierBatch(tokens, steps, written)


def _label_one(tokenizer: PreTrainedTokenizerBase, solution: PlantedSolution) -> tuple[list[int], list[int], list[int]]:
    prompt: list[int] = tokenizer.encode(chat_prompt(solution.problem))
    tokens, steps, right = list(prompt), [IGNORED] * len(prompt), [IGNORED] * len(prompt)
    tag = tokenizer.encode(STEP_TAG)
    spoilt = False
    for step, wrong in zip(solution.steps, solution.wrong, strict=True):
        encoded = tokenizer(step, return_offsets_mapping=True)
        step_tokens: list[int] = encoded["input_ids"] + tag
        tokens += step_tokens
        right += [int(not any(start <= place < end for place in wrong)) for start, end in encoded["offset_mapping"]]
        right.append(IGNORED)
        steps += [IGNORED] * (len(step_tokens) - 1)
        steps.append(1 if spoilt else 2 if wrong else 0)
        spoilt = spoilt or bool(wrong)
    return tokens, steps, right


def _is_matrix(name: str, parameter: torch.nn.Parameter) -> bool:
    return parameter.ndim == 2 and ".layers." in name
