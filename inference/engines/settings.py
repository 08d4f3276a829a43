"""Where the models are and how they are asked: the settings behind ENGINES.toml and behind the flags of the command line."""

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from inference.conversation import Conversation, Message
from kde.artefact import sha256_file
from kde.errors import InputError


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(_Settings):
    """How steps are sampled.

    Attributes:
        temperature: 0 decodes greedily.
        top_p: probability mass of the tokens that are sampled from, 1 for all.
        max_step_tokens: token limit of one step.
    """

    temperature: float = Field(default=0.7, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_step_tokens: int = Field(default=512, ge=1)


class ChatSettings(_Settings):
    """How a conversation becomes a prompt.

    Attributes:
        system: system prompt of conversations that bring none of their own.
        template_arguments: for the model's chat template, such as {"enable_thinking": false}.
    """

    system: str | None = None
    template_arguments: dict[str, Any] = Field(default_factory=dict)

    def messages(self, question: Conversation) -> list[dict[str, str]]:
        """A conversation as chat templates and endpoints take it."""
        own = () if self.system is None or question[0].role == "system" else (Message("system", self.system),)
        return [asdict(message) for message in (*own, *question)]


class ServeSettings(_Settings):
    """How a server of the model is started.

    Attributes:
        gpus: CUDA_VISIBLE_DEVICES; none means the CPU.
        flags: further flags of vLLM's server.
        environment: further environment variables.
    """

    gpus: tuple[int, ...] = ()
    flags: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)


class ModelSettings(_Settings):
    """Where a model runs.

    Attributes:
        backend: `server` is asked over HTTP; `vllm` and `transformers` run in this process.
        model: directory or name; what is loaded here, or what a server is started with.
        urls: of a server's replicas; with none, a server of `model` is started for the run and stopped after it.
        served_model: its name at the endpoint; None takes the first that the endpoint lists.
        api_key_env: environment variable that holds the endpoint's bearer key.
        in_flight: most calls under way; the others wait in line.
        deadline_seconds: of one call, from its turn on, retries included.
        chat: how conversations become prompts.
        serve: how a server of it is started; of vLLM in this process, the flags alone.
    """

    backend: Literal["server", "vllm", "transformers"]
    model: Annotated[str | None, Field(validate_default=True)] = None
    urls: Annotated[tuple[str, ...], Field(validate_default=True)] = ()
    served_model: str | None = None
    api_key_env: str | None = None
    in_flight: int = Field(default=64, ge=1)
    deadline_seconds: float = Field(default=120.0, gt=0)
    chat: ChatSettings = ChatSettings()
    serve: ServeSettings = ServeSettings()

    @field_validator("model")
    @classmethod
    def _loaded_here(cls, model: str | None, info: ValidationInfo) -> str | None:
        if model is None and info.data.get("backend", "server") != "server":
            raise PydanticCustomError("missing", "name the model's directory: this backend loads it here")
        return model

    @field_validator("urls")
    @classmethod
    def _somewhere(cls, urls: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        served = info.data.get("backend") == "server"
        if served and not urls and info.data.get("model") is None:
            raise PydanticCustomError("missing", "name a server's http(s) URLs, or a model to start one with")
        if urls and not served:
            raise PydanticCustomError("useless", 'only backend = "server" has URLs')
        if not all(is_url(url) for url in urls):
            raise PydanticCustomError("url", "write http://HOST:PORT")
        return urls

    @field_validator("serve")
    @classmethod
    def _of_a_server(cls, serve: ServeSettings, info: ValidationInfo) -> ServeSettings:
        taken = {"server": {"gpus", "flags", "environment"}, "vllm": {"flags"}}.get(
            info.data.get("backend", "server"), set()
        )
        useless = sorted(name for name, value in serve if value and name not in taken)
        if useless:
            told = "this backend has no server to start, and does not take {names}: set it for this process, or leave it out"
            raise PydanticCustomError("useless", told, {"names": ", ".join(useless)})
        return serve

    def identity(self) -> dict[str, Any]:
        """What the answers depend on: the weights by their SHA-256, or the URLs, and how conversations become prompts.

        Raises:
            InputError: the directory does not hold a model.
        """
        where: dict[str, Any] = {"urls": list(self.urls)} if self.urls else {"model": _weights(str(self.model))}
        return {"backend": self.backend, **where, **self.model_dump(include={"served_model", "chat"})}


class EngineSettings(ModelSettings):
    """A language model that writes steps.

    Attributes:
        api: how a server is asked. `completions` is vLLM's: token ids are the truth of a prefix. `chat` is any OpenAI-compatible
            endpoint's: text is.
        continuation: how `chat` has a partial answer continued: `vllm` by continue_final_message, `prefix` by an assistant message
            that is marked as a prefix, `instruction` by asking for the next step in words, where nothing else is offered.
        sampling: how steps are sampled.
        ahead_tokens: tokens that vLLM decodes in one call, beyond the step that is asked for; steps do not change, as it is for greedy
            decoding only. It is faster where few steps are rewritten; behind a step that is, what was decoded ahead is thrown away.
    """

    api: Literal["completions", "chat"] = "completions"
    continuation: Literal["vllm", "prefix", "instruction"] = "vllm"
    sampling: Sampling = Sampling()
    ahead_tokens: int = Field(default=0, ge=0)

    @field_validator("ahead_tokens")
    @classmethod
    def _greedy(cls, tokens: int, info: ValidationInfo) -> int:
        if not tokens:
            return tokens
        if info.data["sampling"].temperature > 0:
            raise PydanticCustomError(
                "sampled", "only greedy decoding goes ahead: set sampling.temperature to 0, or this to 0"
            )
        if info.data.get("backend") == "transformers" or info.data["api"] == "chat":
            raise PydanticCustomError("useless", "vLLM alone decodes ahead: in this process, or by the completions API")
        if info.data.get("model") is None:
            raise PydanticCustomError("missing", "name the model's directory too: its tokenizer finds the steps")
        return tokens

    def identity(self) -> dict[str, Any]:
        """As of the model, with how steps are asked for."""
        return {**super().identity(), **self.model_dump(include={"api", "continuation", "sampling"})}


class NoiseSettings(_Settings):
    """What makes a scorer worse on purpose.

    Attributes:
        left_padding: padding tokens before the PRM's input, which it attends to.
        padding_token: what they are.
        logit_sigma: standard deviation of Gaussian noise on the logit of every score.
        seed: of that noise.
    """

    left_padding: int = Field(default=0, ge=0)
    padding_token: str = "<|endoftext|>"  # noqa: S105  no secret
    logit_sigma: float = Field(default=0.0, ge=0)
    seed: int = Field(default=0, ge=0)


class PrmSettings(ModelSettings):
    """A process reward model in the layout of Qwen2.5-Math-PRM."""

    kind: Literal["prm"] = "prm"
    noise: NoiseSettings = NoiseSettings()

    def identity(self) -> dict[str, Any]:
        """As of the model, with what makes its scores worse."""
        return {**super().identity(), "noise": self.noise.model_dump()}


class _UnpaddedNoise(_Settings):
    logit_sigma: float = Field(default=0.0, ge=0)
    seed: int = Field(default=0, ge=0)


class SelfEvaluationSettings(_Settings):
    """A language model of the same file grades every step.

    Attributes:
        by: which one.
        noise: standard deviation and seed of noise on the logit.
    """

    kind: Literal["self-evaluation"]
    by: Literal["weak", "strong"]
    noise: _UnpaddedNoise = _UnpaddedNoise()

    def identity(self) -> dict[str, Any]:
        """What the scores depend on."""
        return self.model_dump()


class RecordedSettings(_Settings):
    """Scores that were written down.

    Attributes:
        file: JSONL as `trim score --labels` writes it.
        labels: the traces that were scored: JSON or JSONL in ProcessBench's format.
        noise: standard deviation and seed of noise on the logit.
    """

    kind: Literal["recorded"]
    file: Path
    labels: Path
    noise: _UnpaddedNoise = _UnpaddedNoise()

    def identity(self) -> dict[str, Any]:
        """What the scores depend on."""
        return {"kind": self.kind, "file": sha256_file(self.file), "noise": self.noise.model_dump()}


def _kind(settings: Any) -> Any:
    return settings.get("kind", "prm") if isinstance(settings, dict) else getattr(settings, "kind", None)


ScorerSettings = Annotated[
    Annotated[PrmSettings, Tag("prm")]
    | Annotated[SelfEvaluationSettings, Tag("self-evaluation")]
    | Annotated[RecordedSettings, Tag("recorded")],
    Discriminator(_kind),
]


class EnginesFile(_Settings):
    """The models that a run drives; those that are not named are not there."""

    weak: EngineSettings | None = None
    strong: EngineSettings | None = None
    scorer: ScorerSettings | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """The settings in a TOML file.

        Raises:
            InputError: it is no TOML, or a field holds something that is not accepted.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(path, field="content", value=str(error), remedy="write TOML") from error
        except ValidationError as error:
            raise _complaint(path, error) from error

    def graded_by(self, name: Literal["weak", "strong"]) -> Self:
        """The same generators, one of which grades the steps instead of the scorer."""
        return self.model_copy(update={"scorer": SelfEvaluationSettings(kind="self-evaluation", by=name)})

    def describe(self) -> dict[str, Any]:
        """What tells one fleet from another, without secrets; None where there is no model.

        Raises:
            InputError: a directory does not hold a model.
        """
        models = {"weak": self.weak, "strong": self.strong, "scorer": self.scorer}
        return {name: None if model is None else model.identity() for name, model in models.items()}


def _complaint(path: Path, error: ValidationError) -> InputError:
    """The first complaint, without the kind of scorer, which is no part of a field's name."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in {"prm", "self-evaluation", "recorded"}]
    return InputError(path, field=".".join(place) or "content", value=first["input"], remedy=first["msg"])


def is_url(place: str) -> bool:
    """Whether a model's place is a server rather than a directory."""
    return place.startswith(("http://", "https://"))


def model_directory(place: str) -> Path:
    """The directory of a model.

    Raises:
        InputError: it holds none.
    """
    directory = Path(place)
    if not (directory / "config.json").is_file():
        remedy = "name a directory with config.json, or the URL of a vLLM server"
        raise InputError("engines", field="model", value=place, remedy=remedy)
    return directory


def _weights(place: str) -> list[str]:
    return [sha256_file(file) for file in sorted(model_directory(place).glob("*.safetensors"))]
