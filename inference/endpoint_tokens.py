"""The tokenizer of a vLLM server: asked over HTTP, or run here where the model's directory is at hand."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from inference.conversation import Conversation, asked
from inference.endpoint import Endpoint
from inference.engines.ahead import Ahead
from inference.engines.base import EngineError
from inference.engines.settings import ChatSettings, EngineSettings, ModelSettings, model_directory
from inference.prompts import Tokens
from inference.step import PROBE


class _Tokenized(BaseModel):
    tokens: tuple[int, ...]


class RemoteTokens:
    """`/tokenize`."""

    def __init__(self, endpoint: Endpoint, chat: ChatSettings) -> None:
        self._endpoint, self._chat = endpoint, chat

    async def question_ids(self, question: Conversation) -> tuple[int, ...]:
        """Token ids of a conversation, up to where the answer begins."""
        body = {"messages": self._chat.messages(question), "add_generation_prompt": True}
        if self._chat.template_arguments:
            body["chat_template_kwargs"] = self._chat.template_arguments
        return (await self._endpoint.post("/tokenize", body, _Tokenized)).tokens

    async def text_ids(self, text: str) -> tuple[int, ...]:
        """Token ids of a piece of text."""
        return (
            await self._endpoint.post("/tokenize", {"prompt": text, "add_special_tokens": False}, _Tokenized)
        ).tokens


class TwinTokens:
    """The tokenizer of the directory that a server serves; before its first use it must agree with the server's own."""

    def __init__(self, here: Tokens, there: RemoteTokens, disagreement: Callable[[], EngineError]) -> None:
        self._here, self._there, self._disagreement = here, there, disagreement
        self._agreed = False

    async def question_ids(self, question: Conversation) -> tuple[int, ...]:
        """Token ids of a conversation, up to where the answer begins."""
        await self._agree()
        return await self._here.question_ids(question)

    async def text_ids(self, text: str) -> tuple[int, ...]:
        """Token ids of a piece of text."""
        await self._agree()
        return await self._here.text_ids(text)

    async def _agree(self) -> None:
        if self._agreed:
            return
        probe = asked(PROBE)
        if await self._here.question_ids(probe) != await self._there.question_ids(probe):
            raise self._disagreement()
        self._agreed = True


def tokens_of(endpoint: Endpoint, settings: ModelSettings) -> Tokens:
    """The tokenizer behind an endpoint."""
    remote = RemoteTokens(endpoint, settings.chat)
    directory = Path(settings.model or "")
    if not (directory / "tokenizer.json").is_file() or find_spec("transformers") is None:
        return remote
    from transformers import AutoTokenizer  # noqa: PLC0415  heavy, and only for models at hand

    from inference.chat import LocalTokens  # noqa: PLC0415

    def disagreement() -> EngineError:
        return EngineError(
            f"{endpoint.where}: its tokenizer or chat template is not that of {directory}; name what it serves, or no model"
        )

    return TwinTokens(LocalTokens(AutoTokenizer.from_pretrained(directory), settings.chat), remote, disagreement)


def ahead_of(settings: EngineSettings) -> Ahead | None:
    """What an endpoint's model decodes ahead, if anything; separators are found by the tokenizer of its directory.

    Raises:
        InputError: the model's directory is not at hand.
    """
    if not settings.ahead_tokens:
        return None
    from transformers import AutoTokenizer  # noqa: PLC0415  as above

    return Ahead(AutoTokenizer.from_pretrained(model_directory(str(settings.model))), settings.ahead_tokens)
