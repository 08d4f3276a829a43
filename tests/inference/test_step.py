from inference.step import Step, Stop, solution_text


def _step(text: str, stop: Stop) -> Step:
    return Step(text, (1,), "v", stop)


def test_a_solution_reads_as_it_was_written() -> None:
    steps = [_step("a", Stop.SEPARATOR), _step("the answer is \\boxed{1", Stop.LENGTH), _step("2}", Stop.END)]
    assert solution_text(steps) == "a\n\nthe answer is \\boxed{12}"
    assert solution_text(steps[:1]) == "a"
    assert solution_text([]) == ""


def test_an_answer_ends_with_the_model_or_with_a_box() -> None:
    assert _step("so be it", Stop.END).ends_answer
    assert _step("\\boxed{3}", Stop.SEPARATOR).ends_answer
    assert not _step("\\boxed{3", Stop.LENGTH).ends_answer
    assert not _step("1+1=2", Stop.SEPARATOR).ends_answer
