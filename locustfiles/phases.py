"""The course of a run: the quiet tenant alone, and then everybody."""

from __future__ import annotations

from locust import LoadTestShape, User

from locustfiles import abuse, partners, people

ALONE: list[type[User]] = [partners.Quiet, partners.QuietBatches]
GREEDY: list[type[User]] = [
    partners.OfOneKey,
    partners.OfSmallPlan,
    partners.OfFirstTenant,
    partners.OfSecondTenant,
    partners.OfRows,
]
ABUSE: list[type[User]] = [
    abuse.Abuser,
    abuse.Guesser,
    abuse.SlowHead,
    abuse.SlowBody,
    abuse.SlowButWhole,
    abuse.Crowd,
]
PEOPLE: list[type[User]] = [people.Admin, people.Auditor]


class Phases(LoadTestShape):
    """`--alone-seconds` of the quiet tenant, then `--beside-seconds` of all; `--only` names the classes instead."""

    use_common_options = False

    def tick(self) -> tuple[int, float, list[type[User]] | None] | None:
        options = self.runner.environment.parsed_options
        names = [name for name in options.only.split(",") if name]
        everybody = [*ALONE, *GREEDY, *ABUSE, *PEOPLE]
        chosen = [each for each in everybody if each.__name__ in names] if names else everybody
        alone = [each for each in ALONE if each in chosen]
        ran = self.get_run_time()
        if ran < options.alone_seconds and alone:
            return _all_of(alone)
        if ran < options.alone_seconds + options.beside_seconds:
            return _all_of(chosen)
        return None


def _all_of(classes: list[type[User]]) -> tuple[int, float, list[type[User]] | None]:
    total = sum(each.fixed_count for each in classes)
    return total, total, classes
