"""Cells drawn from factors so that every pair of values that can stand together occurs in one of them.

Greedy, in an order that a seed fixes: the first cells hold the most pairs, so that any beginning of the list is a good
short list.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import NamedTuple

Cell = dict[str, str]
Value = tuple[str, str]
Pair = tuple[Value, Value]
Domains = dict[str, frozenset[str]]
#: Complete cells that are made for one uncovered pair; the one with most uncovered pairs is taken.
TRIED = 4


class Rule(NamedTuple):
    """Which values of two or three factors stand together."""

    factors: tuple[str, ...]
    holds: Callable[..., bool]


class Factors:
    """Factors with their values, and the rules about which of those stand together."""

    def __init__(self, values: Mapping[str, Sequence[str]], rules: Sequence[Rule]) -> None:
        self.values = values
        self._rules = rules
        #: For a value, the values of each other factor that no rule of two factors forbids beside it.
        self._beside = {(name, value): self._found_beside(name, value) for name in values for value in values[name]}
        self._of_three = [rule for rule in rules if len(rule.factors) > 2]

    def covering(self, seed: int) -> Iterator[Cell]:
        """Cells until every pair that can stand together has occurred."""
        draw = random.Random(seed)
        uncovered = self.pairs()
        waiting = sorted(uncovered)
        draw.shuffle(waiting)
        unseen = set(self._beside)
        while waiting:
            if unseen:
                # Every value occurs before any pair is looked for.
                waiting.append(waiting.pop(_place_of_most(waiting, unseen)))
            pair = waiting.pop()
            if pair not in uncovered:
                continue
            made = [self.completed(pair, draw, uncovered) for _ in range(TRIED)]
            cells = [cell for cell in made if cell is not None]
            uncovered.discard(pair)
            if cells:
                best = max(cells, key=lambda cell: len(uncovered & pairs_of(cell)))
                uncovered -= pairs_of(best)
                unseen -= set(best.items())
                yield best

    def completed(self, given: Sequence[Value], draw: random.Random, wanted: AbstractSet[Pair]) -> Cell | None:
        """A cell with those values, and with wanted pairs where it can; None if there is none."""
        cell: Cell = {}
        domains: Domains | None = {name: frozenset(values) for name, values in self.values.items()}
        for value in given:
            domains = self._with(cell, domains, value) if domains else None
        return None if domains is None else self._completed(cell, domains, draw, wanted)

    def _completed(self, cell: Cell, domains: Domains, draw: random.Random, wanted: AbstractSet[Pair]) -> Cell | None:
        if not domains:
            return {name: cell[name] for name in self.values}
        # The factor with the fewest values left comes first: what cannot be completed shows at once.
        name = min(domains, key=lambda each: len(domains[each]))
        values = sorted(domains[name])
        draw.shuffle(values)
        values.sort(key=lambda value: -sum(_pair((name, value), other) in wanted for other in cell.items()))
        for value in values:
            further = dict(cell)
            left = self._with(further, domains, (name, value))
            whole = None if left is None else self._completed(further, left, draw, wanted)
            if whole is not None:
                return whole
        return None

    def _with(self, cell: Cell, domains: Domains, value: Value) -> Domains | None:
        """What the other factors' values can be beside that value too, which joins the cell; None if none are left."""
        name, chosen = value
        if chosen not in domains[name]:
            return None
        cell[name] = chosen
        left = {each: domains[each] & self._beside[value][each] for each in domains if each != name}
        for rule in self._of_three:
            free = [each for each in rule.factors if each not in cell]
            if name in rule.factors and len(free) == 1:
                left[free[0]] = frozenset(each for each in left[free[0]] if self._holds(rule, {**cell, free[0]: each}))
            elif name in rule.factors and not free and not self._holds(rule, cell):
                return None
        return left if all(left.values()) else None

    def pairs(self) -> set[Pair]:
        """Every pair of values that no rule of two factors forbids."""
        return {_pair(value, (other, each)) for value, beside in self._beside.items()
                for other, found in beside.items() for each in found}  # fmt: skip

    def _found_beside(self, name: str, value: str) -> Domains:
        rules = [rule for rule in self._rules if len(rule.factors) == 2 and name in rule.factors]
        return {
            other: frozenset(
                each for each in self.values[other]
                if all(self._holds(rule, {name: value, other: each}) for rule in rules if other in rule.factors)
            )
            for other in self.values if other != name
        }  # fmt: skip

    @staticmethod
    def _holds(rule: Rule, cell: Mapping[str, str]) -> bool:
        return rule.holds(*(cell[each] for each in rule.factors))


def pairs_of(cell: Cell) -> set[Pair]:
    """Every pair of a cell's values."""
    return {_pair(one, other) for one, other in combinations(cell.items(), 2)}


def _pair(one: Value, other: Value) -> Pair:
    return (one, other) if one < other else (other, one)


def _place_of_most(pairs: Sequence[Pair], values: AbstractSet[Value]) -> int:
    """The place of a pair that has most of the values."""
    return max(range(len(pairs)), key=lambda place: sum(value in values for value in pairs[place]))
