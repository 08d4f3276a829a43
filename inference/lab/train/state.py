"""Training state on disk: parameters, optimiser moments and the step reached, in one safetensors file written atomically.

One file means that a kill at any moment leaves either the former state or the new one, never a mixture. Batches are
functions of the seed and the step (see `batches`), so that there is no generator state to keep.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from kde.errors import ArtefactError

Settings = Mapping[str, object]
"""What determines a training run; a state is only resumed under equal settings. Values are JSON."""


def save_state(
    path: Path,
    *,
    step: int,
    settings: Settings,
    module: torch.nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
) -> None:
    """Replaces the file at `path` by the state after `step` steps."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in _named_tensors(module, optimisers)}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"step": str(step), "settings": json.dumps(dict(settings), sort_keys=True)})
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)


def load_state(
    path: Path,
    *,
    settings: Settings,
    module: torch.nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
) -> int:
    """Puts the state at `path` into the module and its optimisers; the step reached, 0 if there is no such file.

    Raises:
        ArtefactError: the file is of a run with other settings.
    """
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        if metadata["settings"] != json.dumps(dict(settings), sort_keys=True):
            raise ArtefactError(
                path,
                f"is the state of a run with the settings {metadata['settings']}",
                remedy="remove it or choose another --out to train with these",
            )
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    _fill(tensors, module, optimisers)
    return int(metadata["step"])


def _named_tensors(
    module: torch.nn.Module, optimisers: Sequence[torch.optim.Optimizer]
) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in module.named_parameters():
        yield f"parameter:{name}", parameter
        for optimiser in optimisers:
            for key, tensor in optimiser.state.get(parameter, {}).items():
                yield f"{key}:{name}", tensor


def _fill(
    tensors: Mapping[str, torch.Tensor], module: torch.nn.Module, optimisers: Sequence[torch.optim.Optimizer]
) -> None:
    owners = {id(p): optimiser for optimiser in optimisers for group in optimiser.param_groups for p in group["params"]}
    parameters = dict(module.named_parameters())
    for full_name, tensor in tensors.items():
        key, name = full_name.split(":", maxsplit=1)
        parameter = parameters[name]
        if key == "parameter":
            with torch.no_grad():
                parameter.copy_(tensor)
        else:
            owners[id(parameter)].state[parameter][key] = tensor
