import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.lab import CHECKPOINTS, STEP_SEPARATOR, generate_problems

pytestmark = pytest.mark.models
transformers = pytest.importorskip("transformers")
tokenizer_module = pytest.importorskip("inference.lab.tokenizer")

TOKENIZER = tokenizer_module.build_tokenizer()


@pytest.mark.parametrize("token", [*"0123456789", STEP_SEPARATOR, "<extra_0>", "<|im_start|>", "<|im_end|>", ":+", ","])
def test_is_one_token(token: str) -> None:
    assert len(TOKENIZER.encode(token)) == 1


def test_has_about_300_tokens() -> None:
    assert 280 <= len(TOKENIZER) <= 300


def test_digits_and_separators_stay_single_inside_a_solution() -> None:
    (made,) = generate_problems(1, seed=4)
    text = STEP_SEPARATOR.join(made.steps)
    tokens = [TOKENIZER.decode([token]) for token in TOKENIZER.encode(text)]
    assert [token for token in tokens if token.isdigit()] == [character for character in text if character.isdigit()]
    assert tokens.count(STEP_SEPARATOR) == len(made.steps) - 1


def test_a_step_has_the_same_tokens_alone_and_inside_a_solution() -> None:
    (made,) = generate_problems(1, seed=4)
    separator = TOKENIZER.encode(STEP_SEPARATOR)
    alone = [TOKENIZER.encode(step) for step in made.steps]
    joined = alone[0] + [token for step in alone[1:] for token in separator + step]
    assert TOKENIZER.encode(STEP_SEPARATOR.join(made.steps)) == joined


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40))
def test_any_text_in_normal_form_survives_the_round_trip(text: str) -> None:
    normal = TOKENIZER.backend_tokenizer.normalizer.normalize_str(text)
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == normal


def test_the_chat_prompt_is_what_the_template_renders() -> None:
    messages = [{"role": "user", "content": "Work mod 10."}]
    rendered = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert rendered == tokenizer_module.chat_prompt("Work mod 10.")
    assert rendered == "<|im_start|>user\nWork mod 10.<|im_end|>\n<|im_start|>assistant\n"


def test_an_answer_can_be_continued() -> None:
    messages = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "S:=7\n\n"}]
    rendered = TOKENIZER.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    assert rendered == tokenizer_module.chat_prompt("Q") + "S:=7\n\n"


@pytest.mark.parametrize("name", ["weak", "strong", "prm"])
def test_the_shipped_tokenizers_are_the_one_that_is_built(name: str) -> None:
    shipped = transformers.AutoTokenizer.from_pretrained(CHECKPOINTS / name)
    assert shipped.get_vocab() == TOKENIZER.get_vocab()
    assert shipped.chat_template == TOKENIZER.chat_template
    (made,) = generate_problems(1, seed=4)
    text = tokenizer_module.chat_prompt(made.problem) + "<extra_0>".join(made.steps) + "<|im_end|>"
    assert shipped.encode(text) == TOKENIZER.encode(text)
    assert shipped.encode("<|im_end|>") == [shipped.eos_token_id]
