"""scikit-learn without pandas, which it imports only to have it at hand."""

from __future__ import annotations

import sys
from typing import Any


def import_alone() -> None:
    """Imports scikit-learn, and not pandas with it: half a second and 40 MB, for models that were trained on frames.

    `sklearn.utils.fixes` imports pandas where it is installed, and goes on without where it is not. A model that needs
    pandas imports it when it is opened.
    """
    if "sklearn" in sys.modules:
        return
    # Most of what scikit-learn imports, so that the moment in which pandas cannot be imported is short.
    import scipy.sparse.linalg  # noqa: PLC0415  a second that only what opens a model should pay
    import scipy.stats  # noqa: F401, PLC0415  the same

    modules: dict[str, Any] = sys.modules
    is_new = "pandas" not in modules
    if is_new:
        # The documented way to have an import fail.
        modules["pandas"] = None
    try:
        import sklearn.utils.fixes  # noqa: F401, PLC0415  the same
    finally:
        if is_new:
            del modules["pandas"]
