"""Small boosters as their own files, for tests of what those files say."""

from __future__ import annotations

from functools import cache

import lightgbm
import numpy as np
import xgboost

ROWS = np.random.default_rng(0).normal(size=(60, 2))
LABELS = (ROWS[:, 0] > 0).astype(int)


@cache
def xgboost_model():
    return xgboost.XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1).fit(ROWS, LABELS)


@cache
def lightgbm_model():
    return lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(ROWS, LABELS)


def xgboost_bytes(form: str) -> bytes:
    """The file that `save_model` writes, as `json` or `ubj`."""
    return bytes(xgboost_model().get_booster().save_raw(form))


def lightgbm_text() -> bytes:
    """The file that `save_model` writes."""
    return lightgbm_model().booster_.model_to_string().encode()
