"""vLLM's flags that are the same for its servers and for this process."""

import json
from typing import Final

CPU_FLAGS: Final = (
    *("--enforce-eager", "--dtype", "float32", "--kv-cache-memory-bytes", "67108864", "--block-size", "32"),
    *("--max-num-seqs", "64", "--max-num-batched-tokens", "2048", "--distributed-executor-backend", "uni"),
)
"""Without a GPU: a small cache in blocks that a step fills, and no compilation."""


def pooling_flags(step_tag_id: int) -> list[str]:
    """Flags of a process reward model whose step tag has this id."""
    pooler = json.dumps({"tok_pooling_type": "STEP", "step_tag_id": step_tag_id})
    return ["--runner", "pooling", "--pooler-config", pooler]
