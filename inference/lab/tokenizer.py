"""The lab's tokenizer: byte-level BPE with Qwen2's split, about 300 tokens, one for a digit and one for a blank line.

The chat template is ChatML without a default system message, as short as a template can be that any
OpenAI-compatible server renders; the same tokenizer serves the two language models and the PRM.
"""

from collections.abc import Iterator
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from inference.lab.language import OPERATION_SHARES, STEP_SEPARATOR, draw_problem, solve, training_rng

PAD: Final = "<|endoftext|>"
TURN_START: Final = "<|im_start|>"
TURN_END: Final = "<|im_end|>"
STEP_TAG: Final = "<extra_0>"
VOCABULARY_LIMIT: Final = 300

CHAT_TEMPLATE: Final = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)

_QWEN2_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CORPUS_PROBLEMS: Final = 2000


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Trains the tokenizer on a fixed corpus of the language: always the same vocabulary."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_LIMIT,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[PAD, TURN_START, TURN_END, STEP_TAG],
        show_progress=False,
    )
    backend.train_from_iterator(_corpus(), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        eos_token=TURN_END,
        pad_token=PAD,
        additional_special_tokens=[TURN_START, STEP_TAG],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


def chat_prompt(problem: str) -> str:
    """What `apply_chat_template(..., add_generation_prompt=True)` renders for one user message."""
    return f"{TURN_START}user\n{problem}{TURN_END}\n{TURN_START}assistant\n"


def _corpus() -> Iterator[str]:
    rng = training_rng(0, 0)
    for _ in range(_CORPUS_PROBLEMS):
        solved = solve(draw_problem(rng, OPERATION_SHARES, held_out=False), name="corpus")
        yield from ("user\n", solved.problem, "assistant\n", STEP_SEPARATOR.join(solved.steps))
