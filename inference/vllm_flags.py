"""vLLM's flags that are the same for its servers and for this process."""

import json
from typing import Final

CPU_FLAGS: Final = (
    *("--enforce-eager", "--dtype", "float32", "--kv-cache-memory-bytes", "67108864", "--block-size", "32"),
    *("--max-num-seqs", "64", "--distributed-executor-backend", "uni", "--no-enable-chunked-prefill"),
)
"""Without a GPU: a small cache in blocks that a step fills, and no compilation.

Prompts are taken in whole: vLLM takes back a seeded request's random numbers after a part of its prompt, and no generator on the CPU can.
"""


def pooling_flags(step_tag_id: int) -> list[str]:
    """Flags of a process reward model whose step tag has this id."""
    pooler = json.dumps({"tok_pooling_type": "STEP", "step_tag_id": step_tag_id})
    return ["--runner", "pooling", "--pooler-config", pooler]
