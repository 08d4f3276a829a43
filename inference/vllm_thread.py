"""vLLM in this process: any number of models, all of them driven by one thread.

vLLM's CPU backend does not survive several threads. The thread takes one scheduler step at a time, always of the model with the most
requests, as a step costs nearly the same however many share it; so a model that few ask waits until it is worth a step, and nobody waits
for good, since those who have been served ask the others next. A request that arrives joins its model's running batch at the next step.
"""

import asyncio
import itertools
import logging
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from inference.engines.base import EngineError
from inference.vllm_flags import CPU_FLAGS

Result = TypeVar("Result")

_GRACE_SECONDS: Final = 0.001
"""The longest that the next step is put off for callers who have just got an answer: most ask again at once, and join it."""

_ENVIRONMENT: Final = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CONFIGURE_LOGGING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


class VllmThread:
    """The thread; it starts with the first model."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._models: list[VllmModel] = []
        self._thread = threading.Thread(target=self._work, name="vllm", daemon=True)
        self._going = True

    def load(self, flags: Sequence[str]) -> "VllmModel":
        """Load a model; blocks until it is there.

        Args:
            flags: of vLLM's server, as far as they are about the engine.

        Raises:
            EngineError: vLLM cannot load it.
        """
        if not self._thread.is_alive():
            os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)  # in whole GiB, it would override --kv-cache-memory-bytes
            os.environ.update(_ENVIRONMENT)
            self._thread.start()
        try:
            model = self._call(lambda: VllmModel(_engine(flags), self.order)).result()
        except Exception as error:
            told = " ".join(str(error).split())[:300]
            raise EngineError(f"vLLM cannot load {' '.join(flags[:2])}: {type(error).__name__}: {told}") from error
        self._models.append(model)
        return model

    def order(self, order: Callable[[], None]) -> None:
        """Have the thread do something between two steps."""
        self._orders.put(order)

    async def close(self) -> None:
        """Release the models and end the thread."""
        if self._thread.is_alive():
            self.order(self._stop)
            await asyncio.to_thread(self._thread.join)

    def _call(self, work: Callable[[], Result]) -> "Future[Result]":
        done: Future[Result] = Future()

        def order() -> None:
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001  whoever called hears of it
                done.set_exception(error)

        self.order(order)
        return done

    def _stop(self) -> None:
        self._going = False
        for model in self._models:
            model.release()

    def _work(self) -> None:
        while self._going:
            busy = [model for model in self._models if model.busy]
            self._take_orders(wait=not busy)
            if busy:
                max(busy, key=lambda model: model.requests).step()

    def _take_orders(self, *, wait: bool) -> None:
        if wait:
            self._orders.get()()
        while True:
            try:
                order = self._orders.get_nowait()
            except Empty:
                return
            order()


@dataclass(slots=True)
class VllmModel:
    """One model on the thread; everything but `ask` runs there."""

    engine: Any
    order: Callable[[Callable[[], None]], None]
    _waiting: "dict[str, asyncio.Future[Any]]" = field(default_factory=dict)
    _heard: threading.Event = field(default_factory=threading.Event)
    _names: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.engine.get_tokenizer()

    @property
    def context(self) -> int:
        """Tokens that a prefix and what is written behind it may have together."""
        return int(self.engine.model_config.max_model_len)

    @property
    def requests(self) -> int:
        """How many are under way."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether a step would do something."""
        return bool(self._waiting)

    async def ask(self, ids: Sequence[int], parameters: Any) -> Any:
        """VLLM's output for a prompt; a caller who is cancelled takes the request out of the batch.

        Raises:
            EngineError: vLLM refuses the prompt, or failed.
        """
        name = str(next(self._names))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.order(lambda: self._add(name, ids, parameters, future))
        try:
            return await future
        except asyncio.CancelledError:
            self.order(lambda: self._abort(name))
            raise

    def _add(self, name: str, ids: Sequence[int], parameters: Any, future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            return
        try:
            self.engine.add_request(name, {"type": "token", "prompt_token_ids": list(ids)}, parameters)
        except Exception as error:  # noqa: BLE001  it belongs to the one who asked
            self._settle([(future, _failure(error))])
        else:
            self._waiting[name] = future

    def _abort(self, name: str) -> None:
        if self._waiting.pop(name, None) is not None:
            self.engine.abort_request([name])

    def step(self) -> None:
        """One step of the scheduler."""
        try:
            outputs = self.engine.step()
        except Exception as error:  # noqa: BLE001  it belongs to everybody in the batch
            self._settle([(future, _failure(error)) for future in self._waiting.values()])
            self.engine.abort_request(list(self._waiting))
            self._waiting.clear()
            return
        finished = [output for output in outputs if output.finished]
        if finished:
            self._settle([(self._waiting.pop(output.request_id), output) for output in finished])
            self._heard.wait(_GRACE_SECONDS)

    def release(self) -> None:
        """Give the model's memory back; whoever still waits is told."""
        self._settle([(future, EngineError("vLLM is closed")) for future in self._waiting.values()])
        self._waiting.clear()
        self.engine.engine_core.shutdown()

    def _settle(self, answers: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
        if answers:
            self._heard.clear()
            answers[0][0].get_loop().call_soon_threadsafe(self._tell, answers)

    def _tell(self, answers: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
        """On the callers' thread; `_heard` is set once all of them have had their turn."""
        for future, answer in answers:
            if future.done():
                continue
            if isinstance(answer, EngineError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        asyncio.get_running_loop().call_soon(self._heard.set)


def _failure(error: Exception) -> EngineError:
    return EngineError(f"vLLM: {type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _engine(flags: Sequence[str]) -> Any:
    logging.getLogger("vllm").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # of what vLLM does with torch; nobody here can act on it
        from vllm.engine.arg_utils import EngineArgs  # noqa: PLC0415  seconds, and only with vLLM
        from vllm.platforms import current_platform  # noqa: PLC0415
        from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: PLC0415
        from vllm.v1.engine.llm_engine import LLMEngine  # noqa: PLC0415

        defaults: Sequence[str] = ()
        if current_platform.is_cpu():
            import torch  # noqa: PLC0415

            defaults = CPU_FLAGS
            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # as for servers: they would only spin
            torch.compiler.set_stance("force_eager")  # else the first log-probabilities wait for a compiler
        parser = EngineArgs.add_cli_args(FlexibleArgumentParser(exit_on_error=False))
        arguments = parser.parse_args([*defaults, "--no-use-tqdm-on-load", *flags])
        return LLMEngine.from_engine_args(EngineArgs.from_cli_args(arguments))
