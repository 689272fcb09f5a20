"""What a row may be: found in sample and model, edited, and held to."""

from __future__ import annotations

import io
import json

import lightgbm
import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from admin.facts import InvalidValue
from tests.support.asking import answers
from tests.support.estimators import species, whole_bottles
from tests.support.server import cli_json
from tests.support.site import dumped

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

SAMPLE = b"x\n0.0\n1.0\n2.0\n"


async def test_the_schema_comes_from_sample_and_model_and_may_be_edited(site, tmp_path):
    """Names, types, categories, nullability and notes; the operator's own bounds, `pii` and words over them."""
    frame, target = whole_bottles()
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    columns = ColumnTransformer([("o", OneHotEncoder(handle_unknown="ignore"), ["colour"]), ("c", OrdinalEncoder(), ["region"]),
                                 ("n", "passthrough", ["alcohol", "vintage", "is_dry"])])  # fmt: skip
    model = make_pipeline(columns, RandomForestClassifier(5, random_state=0)).fit(frame, target)
    given = {
        "properties": {"alcohol": {"minimum": 5, "maximum": 20, "description": "percent"}, "vintage": {"pii": "mask"}}
    }
    (tmp_path / "sample.csv").write_bytes(frame.assign(cultivar=target).to_csv(index=False).encode())
    (tmp_path / "schema.json").write_text(json.dumps(given))
    (tmp_path / "bottles.joblib").write_bytes(dumped(model))
    shown = cli_json(site, "models", "register", "bottles", str(tmp_path / "bottles.joblib"), "--sample", str(tmp_path / "sample.csv"),
                     "--target", "cultivar", "--schema", str(tmp_path / "schema.json"), "--public")  # fmt: skip
    properties = shown["schema"]["properties"]
    assert (shown["version"], shown["aliases"]) == ("1", ["production"])
    assert properties["alcohol"] | {"x-observed": 0} == {
        "type": "number", "x-observed": 0, "pii": "no", "minimum": 5, "maximum": 20, "description": "percent",
    }  # fmt: skip
    assert properties["colour"] == {
        "type": "string",
        "x-dtype": "str",
        "x-categories": ["red", "rosé", "white"],
        "pii": "no",
        "maxLength": 10_000,
    }
    assert properties["region"] == {"type": "string", "x-dtype": "str", "enum": ["east", "north", "south"], "pii": "no"}
    assert properties["vintage"] == {"type": "integer", "pii": "mask"}
    assert properties["is_dry"] == {"type": "boolean", "pii": "no"}
    row = {**frame.iloc[0].to_dict(), "vintage": 2001, "is_dry": True}
    async with site.client(site.key()) as client:
        path = "/v1/models/bottles/predict"
        assert (await client.post(path, json=row | {"colour": "unheard of"})).status_code == 200
        for name, value, rule in (("region", "west", "enum"), ("alcohol", 21, "less_than_equal"), ("vintage", 1.5, "type"),
                                  ("colour", None, "type"), ("colour", 1, "type"), ("is_dry", 1, "type")):  # fmt: skip
            refused = await client.post(path, json=row | {name: value})
            assert (refused.status_code, [e["rule"] for e in refused.json()["errors"]]) == (422, [rule]), name
            assert "west" not in refused.text
        twice = json.dumps(row)[:-1] + ', "colour": "red"}'
        assert (await client.post(path, content=twice, headers={"Content-Type": "application/json"})).status_code == 400
        escaped = json.dumps(row | {"colour": 'a "quoted" \\ wörd'})
        assert (
            await client.post(path, content=escaped, headers={"Content-Type": "application/json"})
        ).status_code == 200
        document = (await client.get("/openapi.json")).json()
        assert document["components"]["schemas"]["Row.bottles"]["properties"] == properties
        example = document["paths"]["/v1/models/{model}/predict"]["post"]["requestBody"]["content"]["application/json"][
            "examples"
        ]
        assert (await client.post(path, json=example["bottles"]["value"])).status_code == 200


async def test_a_parquet_sample_keeps_its_types(site):
    """Categories that LightGBM was trained on are the values that a row may have; texts may be missing."""
    frame, target = whole_bottles()
    frame = frame.astype({"colour": "category", "region": "category"})
    frame.loc[3, "hue"] = None
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(frame, target)
    file = io.BytesIO()
    frame.to_parquet(file)
    site.register("bottles", "b.joblib", dumped(model), sample_name="s.parquet", sample=file.getvalue(), is_public=True)
    rows = json.loads(frame.to_json(orient="records"))
    found, details = await answers(site, "bottles", rows)
    assert details["schema"]["properties"]["colour"]["enum"] == ["red", "rosé", "white"]
    assert details["schema"]["properties"]["hue"]["type"] == ["number", "null"]
    assert [each["prediction"] for each in found] == model.predict(frame).tolist()


BAD_SCHEMAS = {
    "not an object": [1],
    "no properties": {"type": "object"},
    "an unknown feature": {"properties": {"y": {"minimum": 1}}},
    "an unknown word": {"properties": {"x": {"multipleOf": 2}}},
    "an unknown pii": {"properties": {"x": {"pii": "maybe"}}},
    "a bound that is none": {"properties": {"x": {"minimum": "1"}}},
    "a length of a number": {"properties": {"x": {"minLength": 1}}},
    "a type that is none": {"properties": {"x": {"type": "array"}}},
    "bounds that leave nothing of the sample": {"properties": {"x": {"minimum": 100}}},
    "optional features": {"properties": {"x": {}}, "required": []},
    "more members": {"properties": {"x": {}}, "additionalProperties": True},
    "a number that is too large": {"properties": {"x": {"maximum": 2**70}}},
    "a nest": {"properties": {"x": {"examples": [[[[[[[[[1]]]]]]]]]}}},
    "half a character": {"properties": {"x": {"title": "\ud800"}}},
    "a pattern that is none": {"properties": {"x": {"type": "string", "pattern": "("}}},
}


@pytest.mark.parametrize("name", BAD_SCHEMAS)
def test_a_schema_that_does_not_fit_is_refused(site, name):
    """With its reason, and nothing is registered."""
    model = LinearRegression().fit(np.array([[0.0], [1.0]]), [0.0, 1.0])
    with pytest.raises(InvalidValue):
        site.register(
            "line",
            "a.joblib",
            dumped(model),
            sample_name="a.csv",
            sample=SAMPLE,
            schema=BAD_SCHEMAS[name],
            is_apart=False,
        )


def test_samples_that_do_not_fit_are_refused(site):
    """Columns that are missing or too many, none at all, or no table."""
    frame, target = species()
    model = LogisticRegression(max_iter=1000).fit(frame, target)
    for sample, words in ((b"", "cannot be read"), (b"\x00\xff\xfe", "cannot be read"), (b"a,b\n1,2\n", "lacks columns"), (b"a\n", "no rows"),
                          (b"PAR1 no", "cannot be read"), (b"a,a\n1,2\n", "lacks columns")):  # fmt: skip
        with pytest.raises(InvalidValue, match=words):
            site.register("flowers", "a.joblib", dumped(model), sample_name="a.csv", sample=sample, is_apart=False)
    unnamed = LogisticRegression(max_iter=1000).fit(frame.to_numpy(), target)
    with pytest.raises(InvalidValue, match="--target"):
        csv = frame.assign(species=target).to_csv(index=False).encode()
        site.register("flowers", "a.joblib", dumped(unnamed), sample_name="a.csv", sample=csv, is_apart=False)


async def test_a_text_is_what_it_says_however_it_is_written(site):
    """Half a character is refused, and the same row in other letters has the same inputs and the same fingerprint."""
    frame, target = whole_bottles()
    model = make_pipeline(
        make_column_transformer((OrdinalEncoder(), ["colour", "vintage"]), remainder="drop"), LinearRegression()
    )
    model.fit(frame[["colour", "vintage"]], target)
    csv = frame[["colour", "vintage"]].to_csv(index=False).encode()
    site.register("bottles", "b.joblib", dumped(model), sample_name="s.csv", sample=csv, is_public=True, is_apart=False)
    headers = {"Content-Type": "application/json"}
    async with site.client(site.key()) as client:
        path = "/v1/models/bottles/predict"
        for body in ('{"colour": "ros\\u00e9", "vintage": 2001}', '{"colour": "rosé", "vintage": 2001}'):
            assert (await client.post(path, content=body.encode(), headers=headers)).status_code == 200
        assert (
            await client.post(path, content=b'{"colour": "\\ud800", "vintage": 2001}', headers=headers)
        ).status_code == 400
        unknown = await client.post(path, json={"colour": "red", "vintage": 1700})
        assert (unknown.status_code, unknown.json()["errors"][0]["rule"]) == (422, "enum")
        records = (await client.get("/audit/predictions?model=bottles&outcome=answered")).json()["records"]
    assert len({(record["fingerprint"], str(record["inputs"])) for record in records}) == 1
