"""The two language models train at the same time, each in a process of its own with one thread."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from inference.lab.tokenizer import build_tokenizer
from inference.lab.train.export import save_language_model
from inference.lab.train.language_model import LanguageModelPlan, train_language_model
from inference.lab.train.loop import Progress


def train_side_by_side(
    plans: Sequence[LanguageModelPlan], out: Path, state: Path, report: Callable[[Progress], None]
) -> None:
    """Trains each plan's model into `out/<name>`, with its state in `state`, and passes on their progress.

    Raises:
        RuntimeError: a worker died; its own message is on standard error.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, BaseProcess] = {}
    try:
        for plan in plans:
            receiver, sender = context.Pipe(duplex=False)
            worker: BaseProcess = context.Process(
                target=_work, args=(plan, out, state, sender), name=plan.name, daemon=True
            )
            worker.start()
            sender.close()
            workers[receiver] = worker
        while workers:
            ready = wait(list(workers))
            for connection in [connection for connection in workers if connection in ready]:
                _pass_on(connection, workers, report)
    finally:
        for worker in workers.values():
            worker.terminate()


def _pass_on(
    connection: Connection,
    workers: dict[Connection, BaseProcess],
    report: Callable[[Progress], None],
) -> None:
    try:
        report(connection.recv())
    except EOFError:
        worker = workers.pop(connection)
        worker.join()
        if worker.exitcode != 0:
            raise RuntimeError(f"training of {worker.name} ended with status {worker.exitcode}") from None


def _work(plan: LanguageModelPlan, out: Path, state: Path, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    torch.set_num_threads(1)
    tokenizer = build_tokenizer()
    try:
        model = train_language_model(plan, tokenizer, state=state / f"{plan.name}.safetensors", report=sender.send)
    except BrokenPipeError:
        sys.exit(1)  # the parent was killed; the state is on disk
    save_language_model(model, tokenizer, out / plan.name)
