"""A process reward model on the vLLM thread of this process (STEP pooling on the step tag)."""

from collections.abc import Sequence

from vllm.pooling_params import PoolingParams

from inference.chat import LocalTokens
from inference.conversation import Conversation
from inference.engines.settings import PrmSettings
from inference.prompts import Prompts
from inference.scorers.base import Scores
from inference.scorers.windows import PrmInputs
from inference.vllm_thread import VllmModel


class VllmScorer:
    """Scores with a model that was loaded for pooling."""

    def __init__(self, model: VllmModel, settings: PrmSettings) -> None:
        self._model, self._name, self._context = model, str(settings.model), model.context
        self._inputs = PrmInputs(Prompts(LocalTokens(model.tokenizer, settings.chat)), settings, self._pool)

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """Scores of all steps.

        Raises:
            ContextFullError: a step is longer than the model's context.
            EngineError: vLLM failed, or did not score every step.
        """
        return await self._inputs.score(question, steps, context=self._context, model=self._name)

    async def close(self) -> None:
        """Nothing: the thread releases its models."""

    async def _pool(self, ids: list[int]) -> list[float]:
        output = await self._model.ask(ids, PoolingParams(task="token_classify"))
        good: list[float] = output.outputs.data[:, 1].tolist()
        return good
