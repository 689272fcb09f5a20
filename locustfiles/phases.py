"""The course of a run: the quiet tenant alone, and then everybody."""

from __future__ import annotations

from locust import LoadTestShape, User

from locustfiles import abuse, partners, people

ALONE: list[type[User]] = [partners.Quiet, partners.QuietBatches]
OTHERS: list[type[User]] = [
    partners.OfOneKey,
    partners.OfSmallPlan,
    partners.OfFirstTenant,
    partners.OfSecondTenant,
    partners.OfRows,
    abuse.Abuser,
    abuse.Guesser,
    abuse.SlowHead,
    abuse.SlowBody,
    abuse.SlowButWhole,
    abuse.Crowd,
    people.Admin,
    people.Auditor,
]


class Phases(LoadTestShape):
    """`--alone-seconds` of the quiet tenant, then `--beside-seconds` of all; `--only` names the classes instead."""

    use_common_options = False

    def tick(self) -> tuple[int, float, list[type[User]] | None] | None:
        options = self.runner.environment.parsed_options
        alone, others = _chosen(ALONE, options.only), _chosen(OTHERS, options.only)
        ran = self.get_run_time()
        if alone and ran < options.alone_seconds:
            return _count(alone), _count(alone), alone
        if ran < options.alone_seconds + options.beside_seconds:
            # The classes are those to add: Locust keeps the users that it has. (With `fixed_count` it would add none of
            # a class that was not there from the start.)
            return _count(alone) + _count(others), _count(others) or 1, others or alone
        return None


def _chosen(classes: list[type[User]], only: str) -> list[type[User]]:
    names = [name for name in only.split(",") if name]
    return [each for each in classes if each.__name__ in names] if names else classes


def _count(classes: list[type[User]]) -> int:
    """Users of which each class has as many as its weight."""
    return sum(int(each.weight) for each in classes)
