"""Every kind of estimator that users bring: from a file and a sample to answers that are the estimator's own."""

from __future__ import annotations

import asyncio

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from examination.columns.sample_columns import rows_of
from examination.compiling.independence import is_near
from inference.outputs import name_of
from inference.scores import verb_of
from tests.support.estimators import CATALOGUE
from tests.support.patience import become
from tests.support.site import dumped

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

BOUNDARY_ROWS = 10_000


@pytest.fixture
def site(shared_site):
    """One for all of them, each under its own name."""
    return shared_site


@pytest.mark.parametrize("name", CATALOGUE)
async def test_an_estimator_from_a_file_answers_every_row_as_it_does_itself(site, name, rounds):
    """Without code: labels are identical, numbers within 1e-9 as trained and 1e-5 compiled; on its boundaries as well.

    What does not compile is served as trained, and says why. Callers who ask at once get what they get alone.
    """
    trained = CATALOGUE[name]()
    site.register(
        name, f"{name}.joblib", dumped(trained.estimator), sample_name="sample.csv",
        sample=trained.frame.to_csv(index=False).encode(), is_public=True, is_apart=False,
    )  # fmt: skip
    # Before the program runs, whose event loop this test shares.
    asked = [(trained.given, rows_of(trained.frame))]
    if trained.is_compiled and has_labels(trained):
        placed = on_the_boundary(trained, rounds(BOUNDARY_ROWS, 1_000))
        # In the order of memory of an array that was made of rows: in another one a product's last bit is another.
        given = placed if isinstance(trained.given, pd.DataFrame) else np.ascontiguousarray(placed.to_numpy())
        asked.append((given, rows_of(placed)))
    async with site.client(site.key()) as client:
        await become(lambda: is_served(client, name))
        (version,) = (await client.get(f"/v1/models/{name}")).json()["version_details"]
        example = await client.post(f"/v1/models/{name}/predict", json=version["example"])
        found = [await predicted(client, name, rows) for _, rows in asked]
        verb = verb_of(trained.estimator)
        scored = [] if verb is None else await predicted(client, name, asked[0][1], include="scores")
        await assert_together_as_alone(client.app.state.parts.registry, name, [rows[:16] for _, rows in asked])
    assert example.status_code == 200, example.text
    assert version["engine"] == ("onnx" if trained.is_compiled else "sklearn"), version["compilation"]
    assert trained.is_compiled or version["compilation"]["reason"]
    for (given, _), answers in zip(asked, found, strict=True):
        assert_same(answers, trained.estimator, given, 1e-5 if trained.is_compiled else 1e-9)
    assert (version["scores"] is None) == (verb is None)
    if verb is not None:
        tolerance = 1e-5 if version["compilation"]["scores"]["compiled"] else 1e-9
        assert_same_scores(scored, version["scores"], getattr(trained.estimator, verb)(trained.given), tolerance)
        assert [without_scores(each) for each in scored] == found[0]


async def is_served(client, name) -> bool:
    return (await client.get(f"/v1/models/{name}")).status_code == 200


async def predicted(client, name, rows, **params):
    found, at_once = [], 20_000 // len(rows[0]) if len(rows[0]) > 20 else 1000
    for start in range(0, len(rows), at_once):
        some = {"rows": rows[start : start + at_once]}
        answer = await client.post(f"/v1/models/{name}/predict/batch", json=some, params=params)
        assert answer.status_code == 200, answer.text
        found += answer.json()["predictions"]
    return found


async def assert_together_as_alone(registry, name, rows):
    """Thirty-two callers at once: labels are identical, numbers within 1e-12 as trained and 1e-6 compiled."""
    served = await registry.find(name, None, tenant_id="any")
    tolerance = 1e-6 if served.engine.name == "onnx" else 1e-12
    asked = [row for each in rows for row in each]
    asked = [asked[number % len(asked)] for number in range(32)]
    together = await asyncio.gather(*(served.lane.ask([row], f"tenant {n % 5}") for n, row in enumerate(asked)))
    for row, answer in zip(asked, together, strict=True):
        alone = served.engine.compute([row])
        assert is_near(list(answer), list(alone), tolerance)
        assert is_number(alone.labels[0]) or answer.labels == alone.labels


def assert_same(found, estimator, given, tolerance):
    wanted = np.asarray(estimator.predict(given)).tolist()
    labels = [each["prediction"] for each in found]
    if is_number(wanted[0]):
        assert_allclose(labels, wanted, rtol=tolerance, atol=1e-9)
    else:
        # Where a matrix product's last bit is the label, the estimator itself says another one alone than among others.
        for place in [place for place, label in enumerate(wanted) if label != labels[place]]:
            wanted[place] = np.asarray(estimator.predict(given[place : place + 1])).tolist()[0]
        assert labels == wanted
        assert [type(each) for each in labels] == [type(each) for each in wanted]
    if hasattr(estimator, "predict_proba"):
        assert_same_probabilities(found, estimator, given, tolerance)
    else:
        assert all("probabilities" not in each for each in found)


def assert_same_probabilities(found, estimator, given, tolerance):
    probabilities = estimator.predict_proba(given)
    if isinstance(probabilities, list):
        for number, output in enumerate(probabilities):
            names = [str(each) for each in estimator.classes_[number].tolist()]
            values = [[each["probabilities"][number][key] for key in names] for each in found]
            assert_allclose(values, output, rtol=tolerance, atol=1e-9)
        return
    classes = getattr(estimator, "classes_", range(np.shape(probabilities)[1]))
    names = [name_of(each) for each in np.asarray(classes).tolist()]
    values = [[each["probabilities"][key] for key in names] for each in found]
    assert_allclose(values, probabilities, rtol=tolerance, atol=1e-9)


def assert_same_scores(found, names, scores, tolerance):
    """Each under its name, in order; within 1e-9 if the trained model computes them and 1e-5 if the graph does."""
    assert all(list(each["scores"]) == names for each in found)
    values = [list(each["scores"].values()) for each in found]
    assert_allclose(values, np.reshape(scores, (len(found), -1)), rtol=tolerance, atol=1e-9)


def without_scores(answer):
    return {name: value for name, value in answer.items() if name != "scores"}


def is_number(label):
    return isinstance(label, float) or (isinstance(label, list) and isinstance(label[0], float))


def has_labels(trained):
    return not is_number(np.asarray(trained.estimator.predict(trained.given[:2])).tolist()[0])


def on_the_boundary(trained, count):
    """Rows between which and their neighbours the label changes, found otherwise than the program finds them.

    The numbers of each are moved along a random direction from a row until the label changes, and then by halves to
    the last bit.
    """
    random = np.random.default_rng(7)
    numbers = [name for name in trained.frame.columns if trained.frame[name].dtype.kind == "f"]
    spread = trained.frame[numbers].std().to_numpy() + 1e-12

    def label(rows):
        given = rows if isinstance(trained.given, pd.DataFrame) else rows.to_numpy()
        return np.asarray(trained.estimator.predict(given))

    placed = []
    while sum(map(len, placed)) < count:
        low = trained.frame.iloc[random.integers(0, len(trained.frame), 3 * count // 5)].reset_index(drop=True)
        high = low.copy()
        far = random.choice([0.5, 2.0, 6.0], (len(low), 1))
        high[numbers] += random.normal(size=(len(low), len(numbers))) * spread * far
        changes = label(low) != label(high)
        low, high = (rows[changes][: count // 4].reset_index(drop=True) for rows in (low, high))
        at, middle = label(low), low.copy()
        for _ in range(60):
            middle[numbers] = low[numbers] + (high[numbers] - low[numbers]) / 2
            same = (label(middle) == at)[:, None]
            low[numbers] = np.where(same, middle[numbers], low[numbers])
            high[numbers] = np.where(same, high[numbers], middle[numbers])
        placed += [low, high]
    return pd.concat(placed, ignore_index=True)[:count]
