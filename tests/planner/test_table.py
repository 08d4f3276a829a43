import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.errors import ArtefactError, InputError
from planner.exact import solve_exact
from planner.lattice import interpolate, lattice
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate

beliefs = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda uv: (min(uv), max(uv) - min(uv), 1 - max(uv)))


@given(st.integers(0, 2), st.integers(1, 9), st.booleans(), beliefs)
def test_interpolation_stays_within_the_lattice_triangles_corners(
    table: PolicyTable, index: int, step: int, final: bool, belief: tuple[float, float, float]
) -> None:
    nodes = lattice(table.resolution)
    near = abs(nodes - np.array(belief)).max(axis=1) <= 1 / table.resolution + 1e-9
    values = table.break_even[index, min(step, 6) - 1, int(final)][near]
    found = table.lookup(index, step, belief, final=final)
    assert values.min() - 1e-3 <= found <= values.max() + 1e-3


@given(st.integers(0, 2), st.integers(1, 6), st.booleans(), beliefs)
def test_lookup_is_close_to_the_solution_it_was_read_from(
    table: PolicyTable, pomdp: RoutingPOMDP, index: int, step: int, final: bool, belief: tuple[float, float, float]
) -> None:
    (solution,) = solve_exact(pomdp, [table.entries[index].lam])
    exact = solution.break_even_tokens(np.array(belief))[step - 1, int(final)]
    coarseness = 1 / table.resolution / solution.lam  # a belief moves by at most one lattice step
    assert table.lookup(index, step, belief, final=final) == pytest.approx(exact, abs=0.05 * coarseness)


def test_lookup_is_exact_at_every_lattice_node(table: PolicyTable) -> None:
    nodes = lattice(table.resolution).tolist()
    row = table.break_even[1, 2, 0]
    found = [table.lookup(1, 3, (b0, b1, b2), final=False) for b0, b1, b2 in nodes]
    assert found == pytest.approx(row.tolist(), rel=1e-6, abs=1e-3)


def test_a_final_step_is_worth_the_chance_of_repair(table: PolicyTable, pomdp: RoutingPOMDP) -> None:
    for index, entry in enumerate(table.entries):
        expected = (0.97 * 0.8 - 0.5) / entry.lam
        assert table.lookup(index, 2, (0.5, 0.2, 0.3), final=True) == pytest.approx(expected, rel=1e-5)
        assert table.lookup(index, 6, (0.5, 0.2, 0.3), final=False) == pytest.approx(expected, rel=1e-5)
        assert table.lookup(index, 99, (0.5, 0.2, 0.3), final=False) == pytest.approx(expected, rel=1e-5)


def test_a_saved_table_decides_the_same(table: PolicyTable, tmp_path: Path) -> None:
    content_hash = table.save(tmp_path)
    loaded = PolicyTable.load(tmp_path)
    assert (loaded.content_hash, loaded.entries) == (content_hash, table.entries)
    assert (loaded.break_even == table.break_even).all()
    assert (loaded.pomdp.cells == table.pomdp.cells).all()


def test_an_unknown_lambda_names_the_known_ones(table: PolicyTable) -> None:
    with pytest.raises(InputError, match="0.0005, 0.002, 0.006"):
        table.index(0.003)


def test_damaged_tables_are_refused(table: PolicyTable, tmp_path: Path) -> None:
    table.save(tmp_path)
    document = tmp_path / "table.json"
    whole = document.read_bytes()
    damages: list[dict[str, Any]] = [{"policies": []}, {"schema_version": 3}, {"resolution": 10}]
    for changes in damages:
        document.write_text(json.dumps(json.loads(whole) | changes))
        with pytest.raises(ArtefactError):
            PolicyTable.load(tmp_path)
    document.write_bytes(whole)
    arrays = tmp_path / "table.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:1000])
    with pytest.raises(ArtefactError, match="SHA-256"):
        PolicyTable.load(tmp_path)


def test_lambdas_are_stored_in_order(pomdp: RoutingPOMDP) -> None:
    table = tabulate(pomdp, solve_exact(pomdp, [0.006, 0.0005]), resolution=4)
    assert [entry.lam for entry in table.entries] == [0.0005, 0.006]
    assert table.break_even.shape == (2, 6, 2, 15)


def test_a_lambda_beyond_float32_is_refused_before_anything_is_written(pomdp: RoutingPOMDP) -> None:
    with pytest.raises(InputError, match="lambda is 1e-40"):
        tabulate(pomdp, solve_exact(pomdp, [0.01, 1e-40]), resolution=4)


def test_lambdas_with_many_digits_keep_their_names(pomdp: RoutingPOMDP) -> None:
    table = tabulate(pomdp, solve_exact(pomdp, [0.0012345678]), resolution=4)
    with pytest.raises(InputError, match="built for 0.0012345678"):
        table.index(0.00123457)


def test_what_is_wrong_with_a_table_is_said(table: PolicyTable, tmp_path: Path) -> None:
    table.save(tmp_path)
    document = tmp_path / "table.json"
    whole = json.loads(document.read_text())
    for changes, complaint in (
        ({"schema_version": 99}, "schema_version is 99, this version reads 2"),
        ({"content_hash": "0" * 64}, "content_hash does not match"),
        ({"kind": "model"}, "kind is 'model'"),
    ):
        document.write_text(json.dumps(whole | changes))
        with pytest.raises(ArtefactError, match=complaint):
            PolicyTable.load(tmp_path)


def test_a_loaded_table_is_mapped_not_read(table: PolicyTable, tmp_path: Path) -> None:
    table.save(tmp_path)
    loaded = PolicyTable.load(tmp_path)
    assert not loaded.break_even.flags.owndata
    assert not loaded.break_even.flags.writeable
    assert loaded.break_even.dtype == np.float32


@given(st.lists(st.tuples(st.integers(0, 11), beliefs), min_size=1, max_size=20))
def test_interpolation_of_many_is_the_lookup_of_each(
    table: PolicyTable, asked: list[tuple[int, tuple[float, float, float]]]
) -> None:
    rows, where = np.array([row for row, _ in asked]), np.array([belief for _, belief in asked])
    found = interpolate(table.break_even[2].reshape(12, -1), rows, where, table.resolution)
    for value, (row, belief) in zip(found.tolist(), asked, strict=True):
        assert value == table.lookup(2, row // 2 + 1, belief, final=bool(row % 2))
