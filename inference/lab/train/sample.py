"""Solutions sampled from a language model, many at once, for measuring a PRM on what it will really see."""

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedTokenizerBase, Qwen2ForCausalLM

from inference.lab.language import STEP_SEPARATOR, LabProblem
from inference.lab.tokenizer import chat_prompt

_LONGEST = 256


@torch.no_grad()
def sample_solutions(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    problems: Sequence[LabProblem],
    *,
    temperature: float,
    generator: torch.Generator,
) -> list[list[str]]:
    """The steps of one sampled solution a problem; a solution is cut after 256 tokens."""
    prompts = tokenizer([chat_prompt(problem.problem) for problem in problems])["input_ids"]
    length = max(map(len, prompts))
    tokens = torch.full((len(prompts), length), tokenizer.pad_token_id, dtype=torch.int64)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[length - len(prompt) :] = torch.tensor(prompt)
    mask = (tokens != tokenizer.pad_token_id).long()
    cache = DynamicCache(config=model.config)
    written: list[torch.Tensor] = []
    running = torch.ones(len(prompts), dtype=torch.bool)
    while running.any() and len(written) < _LONGEST:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        logits = model(
            tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
        ).logits[:, -1]
        tokens = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
        tokens[~running] = tokenizer.pad_token_id
        written.append(tokens[:, 0])
        running &= tokens[:, 0] != tokenizer.eos_token_id
        mask = torch.cat((mask, torch.ones_like(tokens)), dim=1)
    solutions = torch.stack(written, dim=1)
    texts = tokenizer.batch_decode(solutions, skip_special_tokens=True)
    return [text.split(STEP_SEPARATOR) for text in texts]
