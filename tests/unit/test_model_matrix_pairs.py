"""The generator of the matrix's cells: no pair of values that can stand together is forgotten."""

from __future__ import annotations

from itertools import islice, product

from hypothesis import given
from hypothesis import strategies as st

from tests.support.matrix.cells import FACTORS, MATRIX
from tests.support.matrix.pairs import Factors, Rule, pairs_of

NAMES = "abcd"
SIZES = st.lists(st.integers(1, 4), min_size=4, max_size=4)
FORBIDDEN = st.lists(st.tuples(st.sampled_from(["ab", "bc", "ad", "abc", "bcd"]), st.integers(0, 63)), max_size=6)


def small(sizes, forbidden):
    """Factors of few values, and rules that each forbid one combination of two or three of them."""
    values = {name: [f"{name}{number}" for number in range(size)] for name, size in zip(NAMES, sizes, strict=True)}

    def rule(factors, number):
        combinations = list(product(*(values[name] for name in factors)))
        refused = combinations[number % len(combinations)]
        return Rule(tuple(factors), lambda *given: given != refused)

    return Factors(values, [rule(*each) for each in forbidden])


@given(SIZES, FORBIDDEN, st.integers(0, 3))
def test_every_pair_that_can_stand_together_occurs(sizes, forbidden, seed):
    """Against all cells, counted by hand; and no cell breaks a rule."""
    factors = small(sizes, forbidden)
    whole = [dict(zip(NAMES, each, strict=True)) for each in product(*factors.values.values())]
    allowed = [
        cell for cell in whole if all(rule.holds(*(cell[name] for name in rule.factors)) for rule in factors._rules)
    ]
    found = list(factors.covering(seed))
    assert all(cell in allowed for cell in found)
    assert set().union(*map(pairs_of, found)) == set().union(*map(pairs_of, allowed))


def test_the_first_sixty_cells_have_every_value():
    """Kinds of estimators and of columns, ways to handle them, encoders, labels, forms, files and samples."""
    cells = list(islice(MATRIX.covering(seed=10), 400))
    assert len(cells) == 400
    for name, values in FACTORS.items():
        assert {cell[name] for cell in cells[:60]} == set(values)
    assert cells[:60] == list(islice(MATRIX.covering(seed=10), 60))
