"""Pages in the making."""

from kde.report.document import Document, marked


def test_symbols_get_their_index_and_nothing_else_does() -> None:
    assert marked("M_w & p_s") == "<i>M</i><sub>w</sub> &amp; <i>p</i><sub>s</sub>"
    assert marked("trim_thr_toy planner_ms S0_x1") == "trim_thr_toy planner_ms S0_x1"


def test_numbers_are_set_as_numbers_and_a_short_row_is_filled_by_its_last_cell() -> None:
    page = Document()
    page.table(("policy", "c", "PGR"), [("thr:0.5", "12.5 [8.4, –]", "– [–, –]"), ("<x>", "not measured")])  # noqa: RUF001
    (table,) = page.sections
    assert '<td>thr:0.5</td><td class="number">12.5 <span class="interval">[8.4, –]</span></td>' in table  # noqa: RUF001
    assert '<td class="number">– <span class="interval">[–, –]</span></td>' in table  # noqa: RUF001
    assert '<td>&lt;x&gt;</td><td class="note" colspan="2">not measured</td>' in table


def test_headings_are_anchors() -> None:
    page = Document()
    page.heading("Cost")
    page.heading("Cost")
    assert list(page.headings.values()) == ["Cost", "Cost"]
    assert all(f'id="{anchor}"' in page.body for anchor in page.headings)
