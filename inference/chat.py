"""What a tokenizer knows: its chat prompt, and the mark at the end of a scored step."""

from transformers import PreTrainedTokenizerBase

from inference.conversation import Conversation
from inference.engines.base import EngineError
from inference.engines.settings import ChatSettings
from inference.scorers.base import STEP_TAG


def prompt_ids(tokenizer: PreTrainedTokenizerBase, question: Conversation, chat: ChatSettings) -> list[int]:
    """Token ids of a conversation, up to where the answer begins."""
    text = tokenizer.apply_chat_template(
        chat.messages(question), add_generation_prompt=True, tokenize=False, **chat.template_arguments
    )
    return list(tokenizer.encode(str(text), add_special_tokens=False))


def step_tag_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token that marks the end of a step for a process reward model.

    Raises:
        EngineError: the tokenizer does not have it as one token.
    """
    ids = tokenizer.encode(STEP_TAG, add_special_tokens=False)
    if len(ids) != 1:
        raise EngineError(f"the PRM's tokenizer has no token {STEP_TAG}; name a Qwen2.5-Math-PRM style model")
    return int(ids[0])
