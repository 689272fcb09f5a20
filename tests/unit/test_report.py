"""The compilation report, which is sealed with its version: what was stored is read, and written back as it was."""

from __future__ import annotations

import dataclasses
import json

import pytest

from inference.report import Comparison, CompilationReport, TieReport

#: As the release before this type wrote them.
STORED = {
    "labels": '{"format": "joblib", "input": "matrix", "classes": ["setosa", "versicolor", "virginica"], "batches": true, "sample_rows": 150, "engine": "onnx", "rows": 4150, "random_rows": 2000, "threshold_rows": 1000, "boundary_rows": 1000, "label_mismatches": 0, "largest_difference": 0.0, "largest_absolute_difference": 2.220446049250313e-16, "tie_rule": "argmax", "tie_margin": 1e-09, "label_type": "str", "precision": "float64", "ties_alone": true, "versions": {"scikit-learn": "1.9.1", "skl2onnx": "1.20.0", "onnxruntime": "1.32.0", "numpy": "2.4.6"}, "compiled_sha256": "cd912941ac00a7589b690d6cf80bf08bb8e2fcb5fd916dc84c93498a77ecc949"}',
    "labels in float32": '{"format": "joblib", "input": "matrix", "classes": ["0", "1", "2"], "batches": true, "sample_rows": 178, "engine": "onnx", "rows": 10178, "random_rows": 2000, "threshold_rows": 7000, "boundary_rows": 1000, "label_mismatches": 0, "largest_difference": 6.556510925292969e-07, "largest_absolute_difference": 6.556510925292969e-07, "tie_rule": "argmax", "tie_margin": 2.6226043701171875e-06, "label_type": "int", "precision": "float64, trees in float32", "ties_alone": false, "versions": {"scikit-learn": "1.9.1", "skl2onnx": "1.20.0", "onnxruntime": "1.32.0", "numpy": "2.4.6"}, "compiled_sha256": "ba11463931d5c880b9a7f41cb891c2e38b5ba6bee2c1252a723a0e740702229b"}',
    "numbers": '{"format": "joblib", "input": "matrix", "classes": null, "batches": true, "sample_rows": 442, "engine": "onnx", "rows": 3442, "random_rows": 2000, "threshold_rows": 1000, "boundary_rows": 0, "label_mismatches": 0, "largest_difference": 0.0, "largest_absolute_difference": 1.1368683772161603e-13, "precision": "float64", "versions": {"scikit-learn": "1.9.1", "skl2onnx": "1.20.0", "onnxruntime": "1.32.0", "numpy": "2.4.6"}, "compiled_sha256": "896e9aeb38d10c79f763528f48fff5975625736dd28d9216043ea40e05605242"}',
    "clusters": '{"format": "joblib", "input": "matrix", "classes": null, "batches": true, "sample_rows": 60, "engine": "onnx", "rows": 4060, "random_rows": 2000, "threshold_rows": 1000, "boundary_rows": 1000, "label_mismatches": 0, "largest_difference": 0.0, "largest_absolute_difference": 0.0, "tie_rule": "argmin", "tie_margin": 1e-09, "label_type": "int", "precision": "float64", "ties_alone": false, "versions": {"scikit-learn": "1.9.1", "skl2onnx": "1.20.0", "onnxruntime": "1.32.0", "numpy": "2.4.6"}, "compiled_sha256": "f2ff5bc4b0201128614d1c6e3d6a0809625b1056b841d9fd036b64334e8c8b91"}',
    "as trained, not gathered": '{"format": "joblib", "input": "matrix", "classes": null, "batches": false, "sample_rows": 60, "engine": "sklearn", "reason": "float32: labels next to a boundary would not be certain; float64: NotImplementedError", "versions": {"scikit-learn": "1.9.1", "skl2onnx": "1.20.0", "onnxruntime": "1.32.0", "numpy": "2.4.6"}, "compiled_sha256": null}',
    "as trained": '{"format": "joblib", "input": "matrix", "classes": ["0", "1", "2"], "batches": true, "sample_rows": 60, "engine": "sklearn", "reason": "float64: ValueError; float32: ValueError", "versions": {"scikit-learn": "1.9.1", "skl2onnx": "1.20.0", "onnxruntime": "1.32.0", "numpy": "2.4.6"}, "compiled_sha256": null}',
    "clusters with scores": '{"format": "joblib", "input": "matrix", "classes": null, "batches": true, "sample_rows": 60, "engine": "onnx", "rows": 4060, "random_rows": 2000, "threshold_rows": 1000, "boundary_rows": 1000, "label_mismatches": 0, "largest_difference": 0.0, "largest_absolute_difference": 0.0, "tie_rule": "argmin", "tie_margin": 1e-09, "label_type": "int", "precision": "float64", "ties_alone": false, "versions": {"scikit-learn": "1.9.1", "skl2onnx": "1.20.0", "onnxruntime": "1.32.0", "numpy": "2.4.6"}, "compiled_sha256": "f2ff5bc4b0201128614d1c6e3d6a0809625b1056b841d9fd036b64334e8c8b91", "scores": {"source": "transform", "names": ["0", "1"], "compiled": true}}',
    "a graph with scores": '{"format": "onnx", "input": "matrix", "classes": ["0", "1"], "batches": true, "sample_rows": 0, "engine": "onnx", "reason": "registered as ONNX: it is the trained model", "compiled_sha256": null, "outputs": {"label": "label", "probabilities": ["p0", "p1"], "scores": ["raw"]}, "scores": {"source": "outputs", "names": ["raw"], "compiled": false}}',
    "a graph": '{"format": "onnx", "input": "matrix", "classes": null, "batches": true, "sample_rows": 0, "engine": "onnx", "reason": "registered as ONNX: it is the trained model", "compiled_sha256": null}',
}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_report_is_written_back_byte_for_byte(name):
    """Member by member, in the same order, with the same numbers."""
    text = STORED[name]
    assert json.dumps(CompilationReport.from_stored(json.loads(text)).to_stored()) == text


def test_members_of_a_later_release_are_kept():
    """A downgraded program does not take them away."""
    stored = json.loads(STORED["as trained"]) | {"later": {"a": [1, None]}}
    assert CompilationReport.from_stored(stored).to_stored() == stored


def test_a_report_of_the_first_release_is_read():
    """It had no classes and no counts by kind: its version is listed, and not loaded."""
    report = CompilationReport.from_stored({"engine": "onnx", "rows": 9, "precision": "float64", "label_mismatches": 0})
    assert (report.engine, report.classes, report.comparison) == ("onnx", None, None)


def test_what_is_read_has_types():
    """And is never changed."""
    report = CompilationReport.from_stored(json.loads(STORED["labels"]))
    assert isinstance(report.comparison, Comparison)
    assert isinstance(report.comparison.ties, TieReport)
    assert (report.comparison.ties.ties_alone, report.comparison.rounds_to_float32) == (True, False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.engine = "sklearn"


def test_what_is_no_report_is_refused():
    """The engine has been in every one."""
    with pytest.raises(KeyError):
        CompilationReport.from_stored({"rows": 1})
