"""Load on a gRPC server by h2load (Debian: nghttp2-client): a generator in C leaves the processor to the server."""

import resource
import shutil
import statistics
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from kde.errors import TrimError


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of calls took."""

    per_second: float
    median_seconds: float
    generator_share: float


def has_h2load() -> bool:
    return shutil.which("h2load") is not None


def unary_load(
    address: str, path: str, message: Message, *, calls: int, concurrency: int, connections: int = 1
) -> Load:
    """Call a method `calls` times, `concurrency` at once on each connection; every call must be answered with HTTP 200."""
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder) / "body", Path(folder) / "log"
        content = message.SerializeToString()
        body.write_bytes(b"\0" + struct.pack(">I", len(content)) + content)
        options = ["-n", str(calls), "-c", str(connections), "-m", str(concurrency), "-w", "24", "-W", "24"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            ["h2load", *options, "-d", str(body), *_HEADERS, f"--log-file={log}", f"http://{address}{path}"],
            capture_output=True,
            text=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = [line.split("\t") for line in log.read_text().splitlines()]
    if len(lines) != calls or any(status != "200" for _, status, _ in lines):
        raise TrimError(f"h2load: {path} failed: {done.stdout[-500:]}")
    first = min(int(started) for started, _, _ in lines)
    last = max(int(started) + int(took) for started, _, took in lines)
    seconds = (last - first) / 1e6
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    median = statistics.median(int(took) for _, _, took in lines) / 1e6
    return Load(calls / seconds, median, processor / seconds)


_HEADERS = ("-H", "content-type: application/grpc", "-H", "te: trailers")
