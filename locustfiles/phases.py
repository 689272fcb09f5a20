"""The course of a run: the quiet tenant alone, and then everybody."""

from __future__ import annotations

from locust import LoadTestShape, User

from locustfiles import abuse, partners, people, users
from locustfiles.expected import EXPECTED

#: A slow machine takes longer to reach every limit.
PATIENCE_SECONDS = 60

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
    """`--alone-seconds` of the quiet tenant, then `--beside-seconds` of all, and until every limit is reached.

    `--only` names the classes of users instead of all.
    """

    use_common_options = False

    def tick(self) -> tuple[int, float, list[type[User]] | None] | None:
        options = self.runner.environment.parsed_options
        alone, others = _chosen(ALONE, options.only), _chosen(OTHERS, options.only)
        ran = self.get_run_time()
        if alone and ran < options.alone_seconds:
            return _count(alone), _count(alone), alone
        end = options.alone_seconds + options.beside_seconds
        if ran < end or (ran < end + PATIENCE_SECONDS and not _is_done(options.only)):
            # The classes are those to add: Locust keeps the users that it has. (With `fixed_count` it would add none of
            # a class that was not there from the start.)
            return _count(alone) + _count(others), _count(others) or 1, others or alone
        return None


def _is_done(only: str) -> bool:
    """Whether each limit whose keys are used has refused somebody, and all kinds of request were made.

    A run in which one was not would prove nothing of it.
    """
    if not only and set(EXPECTED) - {each.kind for each in users.answers} - {"before"}:
        return False
    used = {each.key_id for each in users.answers}
    refused = {each.key_id for each in users.answers if each.problem == "quota-exceeded"}
    limits = [set(limit.key_ids) for limit in users.agreement.limits]
    return all(key_ids & refused for key_ids in limits if key_ids & used)


def _chosen(classes: list[type[User]], only: str) -> list[type[User]]:
    names = [name for name in only.split(",") if name]
    return [each for each in classes if each.__name__ in names] if names else classes


def _count(classes: list[type[User]]) -> int:
    """Users of which each class has as many as its weight."""
    return sum(int(each.weight) for each in classes)
