"""The bundled models after a downgrade: what vouched for them is gone, and one command brings them back."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, update

import migrations
from admin.facts import WrongState
from admin.models.bundled import NAMES, Settled, register_bundled
from db.reach import EVERY_TENANT
from db.tables import Event, Model, Version
from examination.bundled import train
from tests.support.site import ACTOR, IRIS

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]


def bundled(site):
    return register_bundled(site.database, site.store, site.keyring, actor=ACTOR)


def lose(site, name, **values):
    """Takes what vouches for the versions of one model, as a downgrade does for all."""
    with site.owner.transaction(EVERY_TENANT) as session:
        model = select(Model.id).where(Model.name == name).scalar_subquery()
        session.execute(update(Version).where(Version.model_id == model).values(mac="", **values))


def versions(site, name):
    with site.database.reading(EVERY_TENANT) as session:
        found = session.scalars(select(Version).join(Model).where(Model.name == name).order_by(Version.name))
        return {each.name: (each.artifact_sha256, bool(each.mac)) for each in found}


async def predicted(site, path="/predict"):
    async with site.client(site.key()) as client:
        return (await client.post(path, json=IRIS)).status_code


async def test_a_downgrade_and_an_upgrade_are_repaired_in_place(site):
    """The same file is made again, and vouched for under the version's own name; twice changes nothing."""
    before = versions(site, "iris")
    migrations.downgrade(site.owner, "0002")
    migrations.upgrade(site.owner)
    assert await predicted(site) == 503
    assert bundled(site) == Settled([], sorted(NAMES))
    assert versions(site, "iris") == before
    assert await predicted(site, "/v1/models/iris/predict?version=1") == 200
    assert bundled(site) == Settled()
    with site.database.reading(EVERY_TENANT) as session:
        assert session.scalar(select(func.count()).where(Event.verb == "model.repair")) == len(NAMES)


async def test_where_the_file_would_be_another_a_new_version_answers(site):
    """A version never changes: one of other libraries stays lost, and its successor is production."""
    lose(site, "iris", artifact_sha256="0" * 64)
    assert bundled(site) == Settled([], ["iris"])
    assert {name: is_vouched for name, (_, is_vouched) in versions(site, "iris").items()} == {"1": False, "2": True}
    assert await predicted(site) == 200
    assert await predicted(site, "/v1/models/iris/predict?version=1") == 503
    assert bundled(site) == Settled()


def test_a_model_of_somebodys_own_is_not_replaced(site):
    """Under a bundled model's name, with another file: the operator is told what to do."""
    lose(site, "iris", artifact_sha256="0" * 64)
    with site.owner.transaction(EVERY_TENANT) as session:
        session.execute(update(Model).where(Model.name == "iris").values(description="ours"))
    with pytest.raises(WrongState, match="register its file again, with --alias production"):
        bundled(site)
    assert list(versions(site, "iris")) == ["1"]


def test_the_names_are_those_of_the_models_that_are_trained():
    """The program knows the names without the libraries that train."""
    assert [each.name for each in train()] == ["iris", "wine", "diabetes"]
    assert {"iris", "wine", "diabetes"} == NAMES
