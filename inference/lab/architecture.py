"""Shapes of the lab's models: Qwen2, small enough to train on a CPU, servable by vLLM unchanged.

Head size 32 is the least that vLLM's CPU attention takes.
"""

from transformers import PreTrainedTokenizerBase, Qwen2Config

LANGUAGE_MODEL_LAYERS = 2
VERIFIER_LAYERS = 2
"""Layers of the PRM on top of those of the language model it is built on."""


def language_model_config(tokenizer: PreTrainedTokenizerBase) -> Qwen2Config:
    """Configuration of the weak and the strong model: 115k parameters, tied embeddings."""
    return _config(tokenizer, layers=LANGUAGE_MODEL_LAYERS, architecture="Qwen2ForCausalLM")


def process_reward_model_config(tokenizer: PreTrainedTokenizerBase) -> Qwen2Config:
    """Configuration of the PRM: the language model's layers below, fresh ones above, two labels."""
    config = _config(
        tokenizer, layers=LANGUAGE_MODEL_LAYERS + VERIFIER_LAYERS, architecture="Qwen2ForProcessRewardModel"
    )
    config.num_labels = 2
    config.initializer_range = 0.1  # a small start leaves the fresh layers on a plateau for a thousand steps
    return config


def _config(tokenizer: PreTrainedTokenizerBase, *, layers: int, architecture: str) -> Qwen2Config:
    return Qwen2Config(
        architectures=[architecture],
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        use_sliding_window=False,
        dtype="float32",
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
