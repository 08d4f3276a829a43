"""Checkpoints as transformers and vLLM read them: configuration, safetensors, tokenizer; nothing pickled."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM

from inference.scorers.process_reward_model import ProcessRewardModel


def save_language_model(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Replaces `directory` by a checkpoint of a language model; the output matrix is the embedding's, saved once."""
    staged = _stage(directory)
    model.config.save_pretrained(staged)
    model.generation_config.save_pretrained(staged)
    _save(model.model, "model.", staged)
    _finish(tokenizer, staged, directory)


def load_language_model(directory: Path) -> Qwen2ForCausalLM:
    """The language model that `save_language_model` put in `directory`."""
    model: Qwen2ForCausalLM = Qwen2ForCausalLM(Qwen2Config.from_pretrained(directory))  # type: ignore[no-untyped-call]
    weights = load_file(directory / "model.safetensors")
    model.model.load_state_dict({name.removeprefix("model."): tensor for name, tensor in weights.items()})
    model.eval()  # type: ignore[no-untyped-call]
    return model


def save_process_reward_model(prm: ProcessRewardModel, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Replaces `directory` by a checkpoint of a PRM."""
    staged = _stage(directory)
    prm.model.config.save_pretrained(staged)
    _save(prm, "", staged)
    _finish(tokenizer, staged, directory)


def _stage(directory: Path) -> Path:
    staged = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    return staged


def _save(module: torch.nn.Module, prefix: str, staged: Path) -> None:
    weights = {f"{prefix}{name}": tensor.contiguous() for name, tensor in module.state_dict().items()}
    file = staged / "model.safetensors"
    save_file(weights, file, metadata={"format": "pt"})
    file.chmod(0o644)  # safetensors writes for the owner alone


def _finish(tokenizer: PreTrainedTokenizerBase, staged: Path, directory: Path) -> None:
    tokenizer.save_pretrained(staged)
    shutil.rmtree(directory, ignore_errors=True)
    staged.replace(directory)
