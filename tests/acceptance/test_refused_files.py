"""Files that are refused, in words for operators, and files that were altered after they were registered."""

from __future__ import annotations

import asyncio

import pytest
import skops.io
from sqlalchemy import select, update

from admin.facts import InvalidValue
from db.reach import EVERY_TENANT
from db.tables import Version
from tests.support.asking import answers
from tests.support.bad_files import BAD_FILES
from tests.support.site import IRIS
from tests.support.toy_models import Says

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]


SAMPLE = b"x\n0.0\n1.0\n2.0\n"


@pytest.mark.parametrize("name", BAD_FILES)
async def test_a_file_that_cannot_be_served_is_refused_in_words(shared_site, name):
    """For the operator, with nothing listed and nothing stored; everything else goes on being served."""
    site = shared_site
    make, words = BAD_FILES[name]
    file_name, content = make(site)
    before, seconds = sorted(site.settings.models_dir.rglob("*")), 6 if "hangs" in name else 300
    async with site.client(site.key()) as client:
        with pytest.raises(InvalidValue, match=words):
            await asyncio.to_thread(
                site.register, "bad", file_name, content, sample_name="a.csv", sample=SAMPLE, limit_seconds=seconds
            )
        assert (await client.post("/predict", json=IRIS)).status_code == 200
        assert (await client.get("/v1/models/bad")).status_code == 404
    assert sorted(site.settings.models_dir.rglob("*")) == before


async def test_a_trusted_type_may_be_in_a_skops_file(site):
    """The list is the operator's."""
    content = skops.io.dumps(Says("1"))
    trusted = ("tests.support.toy_models.Says",)
    site.register("says", "a.skops", content, sample_name="a.csv", sample=SAMPLE, trusted=trusted, is_public=True)
    trusting = type(site)(site.directory, skops_trusted=list(trusted))
    found, _ = await answers(trusting, "says", [{"x": 1}])
    assert found == [{"prediction": "1"}]
    async with site.client(site.key()) as client:
        assert (await client.post("/v1/models/says/predict", json={"x": 1})).status_code == 503


TAMPERINGS = {
    "a byte of the file": lambda site, versions: alter(site, versions["1"].artifact_sha256),
    "another file with its row": lambda site, versions: rewrite(site, artifact_sha256=versions["2"].artifact_sha256),
    "another file with its row and MAC": lambda site, versions: rewrite(
        site, artifact_sha256=versions["2"].artifact_sha256, mac=versions["2"].mac
    ),
    "the schema": lambda site, _: rewrite(site, row_schema={"properties": {"x": {"type": "integer"}}}),
    "the tie margin": lambda site, versions: rewrite(site, compilation={**versions["1"].compilation, "tie_margin": 1.0}),
    "the format": lambda site, _: rewrite(site, format="skops"),
    "nothing": lambda *_: None,
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_what_is_not_as_it_was_registered_is_never_loaded(site, name):
    """Whoever can write to the folder and the database has still no other file opened."""
    for version in ("1", "2"):
        site.model("says", Says(version), [[0.0], [1.0]], ["x"], version=version, alias="production")
    with site.database.reading(EVERY_TENANT) as session:
        versions = {each.name: each for each in session.scalars(select(Version)) if "Says" not in each.format}
        session.expunge_all()
    TAMPERINGS[name](site, versions)
    async with site.client(site.key()) as client:
        answer = await client.post("/v1/models/says/predict?version=1", json={"x": 1})
        assert answer.status_code == (200 if name == "nothing" else 503)
        assert (await client.post("/v1/models/says/predict", json={"x": 1})).json()["prediction"] == "2"


def alter(site, sha256):
    path = site.settings.models_dir / sha256[:2] / sha256
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def rewrite(site, **values):
    with site.owner.transaction(EVERY_TENANT) as session:
        models = (
            select(Version.id)
            .where(Version.name == "1", Version.format == "joblib")
            .order_by(Version.created_at.desc())
        )
        session.execute(update(Version).where(Version.id == session.scalars(models).first()).values(**values))
