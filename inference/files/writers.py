"""One guard for every format: the release of the library that wrote a file, beside the one that would open it.

What another release wrote may open and answer otherwise. So a file is opened only where its library promises that this
release reads it as it was meant:

- scikit-learn promises nothing between releases, in pickles and in skops files alike.
- XGBoost reads the model files of older releases, and promises nothing for newer ones or for pickles of any other.
- LightGBM numbers the form of its text, and reads the forms up to its own.
- CatBoost reads the files of older releases, within pickles too.

numpy and pandas write no release into pickles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn
from warnings import catch_warnings, simplefilter

from inference.files.refused import RefusedFile

#: The forms of LightGBM's text that its release 4 reads; the earliest have no number.
_LIGHTGBM_FORMS = range(2, 5)
_LIGHTGBM = re.compile(rb"tree(?:\r?\n|\\+n)version=v(\d+)")
#: XGBoost's release in its binary JSON: three numbers of a byte each, or as text.
_XGBOOST_BINARY = re.compile(rb"version\[#[Lli]\x00*\x03[iU](.)[iU](.)[iU](.)", re.DOTALL)
_XGBOOST_TEXT = re.compile(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]')
#: A snapshot of XGBoost's before 1.6 has its configuration as text behind this word.
_XGBOOST_EARLY = b"CONFIG-offset:"
_CATBOOST = re.compile(rb"CatBoost release (\d+\.\d+(?:\.\d+)?)")
#: scikit-learn's release in a pickle: the text behind its name, with the marks that pickle puts between them.
_SKLEARN = re.compile(
    rb"_sklearn_version\n?(?:q.|r.{4}|\x94|p\d+\n)?(?:\x8c.|X.{4}|V|U.)?(\d[\w.+]{2,30}?)(?=[\x94q\nsu])", re.DOTALL
)

Release = tuple[int, ...]


def refuse(library: str, theirs: str, ours: str) -> NoReturn:
    """Raises `RefusedFile` in the words that are the same for every library."""
    raise RefusedFile(
        f"the file was written by {library} {theirs}, and this is {ours}: fit and save the model again with this one"
    )


@contextmanager
def one_sklearn() -> Iterator[None]:
    """Raises `RefusedFile` where scikit-learn finds, while it opens a part, that another release wrote it."""
    from sklearn.exceptions import InconsistentVersionWarning  # noqa: PLC0415  a second that only opening should cost

    try:
        with catch_warnings():
            simplefilter("error", InconsistentVersionWarning)
            yield
    except InconsistentVersionWarning as error:
        refuse("scikit-learn", str(error.original_sklearn_version), str(error.current_sklearn_version))


def check_boosters(content: bytes) -> None:
    """Raises `RefusedFile` if a booster within a pickle or a skops file is of a release that this one does not read."""
    if _XGBOOST_EARLY in content:
        refuse("XGBoost", "before 1.6", _installed_xgboost())
    for release in _binary_xgboost_releases(content):
        if release != _release(_installed_xgboost()):
            refuse("XGBoost", _text(release), _installed_xgboost())
    _check_lightgbm_forms(content)
    for found in {each.decode() for each in _CATBOOST.findall(content)}:
        with suppress(ImportError):
            check_catboost(found)


def refuse_pickle_of_other_sklearn(content: bytes) -> None:
    """For a pickle that could not be opened: raises `RefusedFile` if another scikit-learn wrote it, which is why."""
    import sklearn  # noqa: PLC0415  a second that only opening should cost

    for found in _SKLEARN.findall(content):
        if found.decode() != sklearn.__version__:
            refuse("scikit-learn", found.decode(), sklearn.__version__)


def check_skops(schema: Any) -> None:
    """Raises `RefusedFile` if a part in a skops file's `schema.json` was written by another scikit-learn."""
    import sklearn  # noqa: PLC0415  a second that only opening should cost

    for found in _sklearn_releases(schema):
        if found != sklearn.__version__:
            refuse("scikit-learn", found, sklearn.__version__)


def check_xgboost(content: bytes) -> None:
    """Raises `RefusedFile` if a newer XGBoost wrote the model file."""
    here = _installed_xgboost()
    written = [tuple(map(int, found)) for found in _XGBOOST_TEXT.findall(content)]
    for release in written + _binary_xgboost_releases(content):
        if release[:2] > _release(here)[:2]:
            refuse("XGBoost", _text(release), here)


def check_lightgbm(content: bytes) -> None:
    """Raises `RefusedFile` if the text of a model has a form that this LightGBM does not read."""
    if not _LIGHTGBM.match(content):
        refuse("LightGBM", "before 2.1 (without a version)", _installed_lightgbm())
    _check_lightgbm_forms(content)


def check_catboost(theirs: str) -> None:
    """Raises `RefusedFile` if that release of CatBoost is newer than the one here."""
    import catboost  # noqa: PLC0415  loaded by those alone who have such a model

    if _release(theirs)[:2] > _release(catboost.__version__)[:2]:
        refuse("CatBoost", theirs, catboost.__version__)


def _check_lightgbm_forms(content: bytes) -> None:
    for form in {int(each) for each in _LIGHTGBM.findall(content)}:
        if form not in _LIGHTGBM_FORMS:
            refuse("LightGBM", f"in form v{form}", f"{_installed_lightgbm()} (forms v2 to v{_LIGHTGBM_FORMS[-1]})")


def _binary_xgboost_releases(content: bytes) -> list[Release]:
    return [tuple(part[0] for part in found) for found in _XGBOOST_BINARY.findall(content)]


def _sklearn_releases(node: Any) -> Iterator[str]:
    """The releases that the parts of a skops file name in their states: JSON texts within JSON."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            named = node.get("_sklearn_version")
            if isinstance(named, dict) and isinstance(named.get("content"), str):
                yield named["content"].strip('"')
            waiting.extend(node.values())


def _installed_xgboost() -> str:
    import xgboost  # noqa: PLC0415  loaded by those alone who have such a model

    return str(xgboost.__version__)


def _installed_lightgbm() -> str:
    import lightgbm  # noqa: PLC0415  loaded by those alone who have such a model

    return str(lightgbm.__version__)


def _release(text: str) -> Release:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _text(release: Release) -> str:
    return ".".join(map(str, release))
