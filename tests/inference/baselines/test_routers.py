"""RouteLLM's routers, on questions whose winner can be read off their words."""

import csv
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.special import expit

from inference.baselines.automix import BINS, AutoMixRouter
from inference.baselines.catalogue import ROUTELLM, held_out_scores, load_router
from inference.baselines.cli import app
from inference.baselines.encoder import SentenceEncoder, WordLlamaEncoder
from inference.baselines.factorisation import cross_entropy
from inference.baselines.paired import PairedAnswers, Queries, read_answers
from inference.baselines.router import save_router
from inference.baselines.similarity import SimilarityRouter
from kde.errors import ArtefactError, InputError
from kde.samples import Array

HARD = "Prove that the eigenvalues of matrix number {} are real."
EASY = "How many apples are {} apples and two apples?"


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return WordLlamaEncoder()


def answered(count: int) -> PairedAnswers:
    """M_s wins on every second question; the rest both can answer."""
    questions = tuple((HARD if place % 2 else EASY).format(place) for place in range(count))
    weak = np.array([1.0 - place % 2 for place in range(count)])
    return PairedAnswers(Queries(questions), weak, np.ones(count), np.full(count, 50.0))


def test_the_encoder_gives_what_its_package_gives(encoder: SentenceEncoder) -> None:
    wordllama = import_module("wordllama")
    folder = Path(str(wordllama.__file__)).parent
    twin = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    texts = ["One sentence.", "A second, rather longer sentence with numbers 1234.", "\n"]
    np.testing.assert_allclose(encoder.embed(texts)[:2], twin.embed(texts, norm=True)[:2], atol=1e-6)
    assert encoder.embed([""]).tolist() == [[0.0] * encoder.width]


@pytest.mark.parametrize("name", ROUTELLM)
def test_a_router_learns_what_can_be_learnt_and_is_kept(name: str, encoder: SentenceEncoder, tmp_path: Path) -> None:
    answers, unseen = answered(64), (HARD.format(1001), EASY.format(1002))
    router = ROUTELLM[name].train(answers, encoder, 0)
    hard, easy = router.strong_wins(Queries(unseen))
    assert 0 <= easy < hard <= 1
    again = ROUTELLM[name].train(answers, encoder, 0)
    assert again.strong_wins(Queries(unseen)).tolist() == [hard, easy]
    save_router(router, encoder, tmp_path, {})
    assert load_router(tmp_path, encoder).strong_wins(Queries(unseen)).tolist() == [hard, easy]


def test_similarity_is_a_weighted_bradley_terry_fit(encoder: SentenceEncoder) -> None:
    """Its closed form is the maximum of the weighted likelihood."""
    answers = answered(20)
    router = SimilarityRouter.train(answers, encoder, 0)
    query = EASY.format(7)
    (found,) = router.strong_wins(Queries((query,)))
    similarity = encoder.embed([query])[0] @ router.embeddings.T
    weights = router.gamma ** (1 + similarity / similarity.max())
    grid = np.linspace(-8, 8, 200_001)
    wins, all_of_it = weights @ answers.preferences, weights.sum()
    likelihood = -wins * np.logaddexp(0, -grid) - (all_of_it - wins) * np.logaddexp(0, grid)
    assert found == pytest.approx(expit(grid[likelihood.argmax()]), abs=1e-4)


def test_the_gradient_of_the_factorisation_is_its_derivative() -> None:
    rng = np.random.default_rng(0)
    embeddings, preferences = rng.normal(size=(9, 4)), rng.choice([0, 0.5, 1], 9)
    shapes = ((3, 4), (3,), (2, 3), (3,))
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def factors(flat: Array) -> list[Array]:
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]

    def value(flat: Array) -> float:
        return cross_entropy(embeddings, preferences, factors(flat))[0]

    def gradient(flat: Array) -> Array:
        return np.concatenate([g.ravel() for g in cross_entropy(embeddings, preferences, factors(flat))[1]])

    error = check_grad(value, gradient, rng.normal(size=ends[-1]))
    assert error < 1e-4


def test_a_question_is_judged_by_routers_that_have_not_seen_it(encoder: SentenceEncoder) -> None:
    """With random winners there is nothing to learn: a router that had seen the questions would know them."""
    rng = np.random.default_rng(3)
    questions = tuple(f"{rng.integers(10**9)} {rng.integers(10**9)}" for _ in range(300))
    weak = rng.integers(0, 2, 300).astype(float)
    answers = PairedAnswers(Queries(questions), weak, 1 - weak, np.ones(300))
    scores = held_out_scores(answers, np.arange(300), encoder, SimilarityRouter.train, folds=5, seed=0)
    assert abs(np.corrcoef(scores, answers.preferences)[0, 1]) < 0.2


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_automix_asks_where_the_bin_says_so(encoder: SentenceEncoder, rows: list[tuple[float, bool, bool]]) -> None:
    verified, weak, strong = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    answers = PairedAnswers(Queries(("q",) * len(rows), verified), weak, strong, np.ones(len(rows)))
    router = AutoMixRouter.train(answers, encoder, 0)
    assert (abs(router.gains) <= 1).all()
    bins = np.minimum((verified * BINS).astype(int), BINS - 1)
    for number in set(bins.tolist()):
        inside = (strong - weak)[bins == number]
        mean = (inside.sum() + (strong - weak).mean()) / (len(inside) + 1)
        assert router.gains[number] == pytest.approx(mean)


def test_automix_needs_a_verifier(encoder: SentenceEncoder) -> None:
    with pytest.raises(InputError, match="verifier's score"):
        AutoMixRouter.train(answered(4), encoder, 0)


def test_a_router_of_another_encoder_is_refused(encoder: SentenceEncoder, tmp_path: Path) -> None:
    save_router(SimilarityRouter.train(answered(4), encoder, 0), encoder, tmp_path, {})
    document = json.loads((tmp_path / "query_router.json").read_text())
    (tmp_path / "query_router.json").write_text(json.dumps(document | {"encoder": "another"}))
    with pytest.raises(ArtefactError, match="content_hash"):
        load_router(tmp_path, encoder)


class TestTable:
    """RouteLLM's layout."""

    @staticmethod
    def write(
        path: Path, *rows: list[str], header: tuple[str, ...] = ("prompt", "w", "s", "w_response", "s_response")
    ) -> Path:
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
        return path

    def test_the_first_model_is_the_weak_one(self, tmp_path: Path, encoder: SentenceEncoder) -> None:
        path = self.write(tmp_path / "a.csv", ["q", "False", "True", "no", "yes, it is"])
        answers = read_answers(path, encoder, weak=None, strong=None)
        assert (answers.weak_correct.tolist(), answers.strong_correct.tolist()) == ([0], [1])
        assert answers.strong_tokens.tolist() == encoder.count_tokens(["yes, it is"]).tolist()
        assert read_answers(path, encoder, weak="s", strong="w").preferences.tolist() == [0]

    @pytest.mark.parametrize(
        ("rows", "header", "told"),
        [
            ([], None, "no questions"),
            ([["q", "yes", "True", "", ""]], None, "line 2, w is 'yes'; True or False"),
            ([["q", "True"]], None, "as many cells"),
            ([["", "True", "True", "", ""]], None, "asks something"),
            ([], ("prompt", "w", "w_response"), "columns"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, tmp_path: Path, encoder: SentenceEncoder, rows: list[list[str]], header: tuple[str, ...] | None, told: str
    ) -> None:
        path = self.write(tmp_path / "a.csv", *rows, **({} if header is None else {"header": header}))
        with pytest.raises(InputError, match=told):
            read_answers(path, encoder, weak=None, strong=None)

    def test_a_model_that_is_not_there_is_named(self, tmp_path: Path, encoder: SentenceEncoder) -> None:
        path = self.write(tmp_path / "a.csv", ["q", "False", "True", "no", "yes"])
        with pytest.raises(InputError, match="name one of w, s"):
            read_answers(path, encoder, weak="gpt", strong="s")
        with pytest.raises(InputError, match="CSV file in UTF-8"):
            read_answers(tmp_path / "missing.csv", encoder, weak=None, strong=None)

    def test_smoothie_trusts_the_generators_that_agree(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        header = ("prompt", "a", "b", "c", "a_response", "b_response", "c_response")
        said = ("The sum is {}.", "The sum is {} indeed.", "Bananas grow in {} gardens, far away from here.")
        rows = [
            [f"What is {n} and {n}?", "True", "True", "False", *(text.format(2 * n) for text in said)]
            for n in range(12)
        ]
        path = self.write(tmp_path / "three.csv", *rows, header=header)
        for more in ([], ["--neighbours", "4"]):
            app(["smoothie", str(path), "--json", *more], result_action="return_value")
            told = json.loads(capsys.readouterr().out)
            assert told["accuracy"] == 1
            assert [row["accuracy"] for row in told["generators"]] == [1, 1, 0]
            assert told["generators"][2]["chosen"] == 0
            assert told["generators"][2]["distance"] > max(row["distance"] for row in told["generators"][:2])

    def test_smoothie_refuses_two_generators(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "two.csv", ["q", "False", "True", "no", "yes"])
        with pytest.raises(InputError, match="three or more generators agree"):
            app(["smoothie", str(path)], exit_on_error=False, print_error=False)

    def test_the_command_trains_and_tells_the_hash(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        rows = [[f"question {number}", "False", str(number % 3 > 0), "no", "yes"] for number in range(12)]
        path = self.write(tmp_path / "a.csv", *rows)
        app(
            ["train", str(path), "--router", "factorisation", "--out", str(tmp_path / "router"), "--json"],
            result_action="return_value",
        )
        told = json.loads(capsys.readouterr().out)
        assert (
            told["content_hash"] == json.loads((tmp_path / "router" / "query_router.json").read_text())["content_hash"]
        )
        app(
            ["evaluate", str(path), "--folds", "3", "--out", str(tmp_path / "curves.png"), "--json"],
            result_action="return_value",
        )
        told = json.loads(capsys.readouterr().out)
        assert [row["router"] for row in told["routers"]] == ["similarity", "factorisation", "classifier", "random"]
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
