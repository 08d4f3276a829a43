"""A tokenizer in this process: its chat prompt, and the mark at the end of a scored step."""

from transformers import PreTrainedTokenizerBase

from inference.conversation import Conversation
from inference.engines.base import EngineError
from inference.engines.settings import ChatSettings
from inference.scorers.base import STEP_TAG


class LocalTokens:
    """What a tokenizer in this process makes of conversations and text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, chat: ChatSettings) -> None:
        self._tokenizer, self._chat = tokenizer, chat

    async def question_ids(self, question: Conversation) -> tuple[int, ...]:
        """Token ids of a conversation, up to where the answer begins."""
        text = self._tokenizer.apply_chat_template(
            self._chat.messages(question), add_generation_prompt=True, tokenize=False, **self._chat.template_arguments
        )
        return await self.text_ids(str(text))

    async def text_ids(self, text: str) -> tuple[int, ...]:
        """Token ids of a piece of text."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))


def step_tag_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token that marks the end of a step for a process reward model.

    Raises:
        EngineError: the tokenizer does not have it as one token.
    """
    ids = tokenizer.encode(STEP_TAG, add_special_tokens=False)
    if len(ids) != 1:
        raise EngineError(f"the PRM's tokenizer has no token {STEP_TAG}; name a Qwen2.5-Math-PRM style model")
    return int(ids[0])
