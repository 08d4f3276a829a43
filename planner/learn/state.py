"""A training run on disk: parameters, Adam's moments and the learning curve, in one safetensors file that is replaced atomically.

What is drawn in an iteration is a function of the seed and the iteration, so there is no generator to keep: a run that is killed goes on
from its last state to the same weights.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save

from kde.artefact import replace_file
from kde.samples import Array
from planner.learn.network import ActorCritic

_FILE = "state.safetensors"
_CURVE = "curve"


def save_state(folder: Path, network: ActorCritic, optimiser: torch.optim.Adam, curve: list[Array]) -> None:
    """Replace the state in `folder`; the curve has one row an iteration."""
    tensors = {_CURVE: torch.from_numpy(np.stack(curve))}
    for name, parameter in network.named_parameters():
        tensors[f"parameter:{name}"] = parameter.detach()
        for key, moment in optimiser.state[parameter].items():
            tensors[f"{key}:{name}"] = moment
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / _FILE, save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def load_state(folder: Path, network: ActorCritic, optimiser: torch.optim.Adam) -> list[Array]:
    """Put the state in `folder` into the network and its optimiser; the curve so far, empty where there is no state."""
    if not (folder / _FILE).exists():
        return []
    tensors = load_file(folder / _FILE)
    curve = tensors.pop(_CURVE).numpy()
    parameters = dict(network.named_parameters())
    for full_name, tensor in tensors.items():
        key, name = full_name.split(":", maxsplit=1)
        if key == "parameter":
            with torch.no_grad():
                parameters[name].copy_(tensor)
        else:
            optimiser.state[parameters[name]][key] = tensor
    return list(curve)
