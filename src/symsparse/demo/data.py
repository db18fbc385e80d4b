"""Read documents and labels, hold some out, and turn them into sparse matrices."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import DemoError
from .corpus import docstring_corpus, installed_packages

HELD_OUT = 0.2
DTYPE = np.float32
WEIGHT_BYTES_LIMIT = 2 << 30

_TOKEN = r"[^\W\d_]{2,}"


@dataclass(frozen=True)
class Dataset:
    """A labelled corpus, split into what is learnt from and what is held out.

    Attributes
    ----------
    source
        Where the documents come from, in words.
    X_train, X_test
        One row per document, one column per word (or svmlight feature). The rows of `X_train` are shuffled; their
        length is one or so.
    y_train, y_test
        Class numbers, positions in `classes`.
    classes, words
        Names of the classes and of the columns.
    unit
        What a column stands for: "words" or "features".
    """

    source: str
    X_train: sp.csr_array
    y_train: NDArray[np.int64]
    X_test: sp.csr_array
    y_test: NDArray[np.int64]
    classes: list[str]
    words: NDArray[np.object_]
    unit: str


def load(data: Path | None, text: Path | None, seed: int) -> Dataset:
    """Read an svmlight file, a folder of texts or, given neither, the docstring corpus.

    Raises
    ------
    DemoError
        If nothing can be learnt from what is there.
    """
    if data is not None:
        return _from_svmlight(data, seed)
    if text is not None:
        documents, labels = read_text_folder(text)
        return _from_documents(str(text), documents, labels, seed)
    documents, labels = docstring_corpus()
    return _from_documents(f"docstrings of {', '.join(installed_packages())}", documents, labels, seed)


def read_text_folder(folder: Path) -> tuple[list[str], list[str]]:
    """Read every file below each subfolder of `folder`; the subfolder's name is the label."""
    documents, labels = [], []
    try:
        if not folder.exists():
            raise DemoError(f"{folder}: no such folder")
        if not folder.is_dir():
            raise DemoError(f"{folder}: not a folder")
        for place in sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path)):
            for path in sorted(path for path in place.rglob("*") if path.is_file() and not _is_hidden(path)):
                documents.append(_read_text(path))
                labels.append(place.name)
    except OSError as error:
        raise DemoError(f"{error.filename or folder}: {error.strerror or error}") from error
    if not documents:
        raise DemoError(f"{folder}: no text files in subfolders; one subfolder per class is expected")
    return documents, labels


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _read_text(path: Path) -> str:
    raw = path.read_bytes()
    if b"\0" in raw:
        raise DemoError(f"{path}: not a text file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # old mail and news; every byte has a meaning there, so look for prose
    if sum(not character.isprintable() and not character.isspace() for character in text) > len(text) / 20:
        raise DemoError(f"{path}: not a text file")
    return text


def _from_documents(source: str, documents: list[str], labels: list[str], seed: int) -> Dataset:
    from sklearn.feature_extraction.text import TfidfVectorizer

    classes, y = _number_classes(source, labels)
    train, test = split(source, y, seed)
    rare = 2 if len(train) >= 500 else 1
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=rare, token_pattern=_TOKEN, dtype=DTYPE)
    try:
        X_train = vectorizer.fit_transform([documents[i] for i in train])
    except ValueError as error:
        raise DemoError(f"{source}: the documents contain no words") from error
    X_test = vectorizer.transform([documents[i] for i in test])
    words = vectorizer.get_feature_names_out()
    _check_size(source, len(words), len(classes))
    return Dataset(
        source, _canonical(X_train), y[train], _canonical(X_test), y[test], classes, words, "words"
    )


def _from_svmlight(path: Path, seed: int) -> Dataset:
    from sklearn.datasets import load_svmlight_file

    try:
        X, labels = load_svmlight_file(str(path), zero_based=True)  # columns keep the file's numbers
    except OSError as error:
        raise DemoError(f"{path}: {_first_line(error.strerror or error)}") from error
    except (ValueError, OverflowError, EOFError, zlib.error) as error:
        raise DemoError(f"{path}: not an svmlight file ({_first_line(error)})") from error
    if X.shape[0] == 0:
        raise DemoError(f"{path}: no documents")
    if not (np.isfinite(X.data).all() and np.isfinite(labels).all()):
        raise DemoError(f"{path}: some values are infinite or not a number")
    classes, y = _number_classes(str(path), [str(int(x) if x.is_integer() else x) for x in labels.tolist()])
    train, test = split(str(path), y, seed)
    X = sp.csr_array(X)
    size = abs(X[train]).max(axis=0).toarray().ravel()
    seen = np.flatnonzero(size)
    if not len(seen):
        raise DemoError(f"{path}: every feature is zero")
    _check_size(str(path), len(seen), len(classes))
    # Each feature is scaled to [-1, 1] (zeros stay zeros), so that one step size suits them all; then all features
    # together, so that documents have length one in the mean, as with tf-idf: one step size suits every data set.
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = _canonical(X[:, seen] @ sp.diags_array(1 / size[seen]))
    if not np.isfinite(scaled.data).all():
        raise DemoError(f"{path}: the values of one feature differ too much in size")
    scaled /= np.linalg.norm(scaled[train].data) / np.sqrt(len(train))
    names = np.array([f"#{column}" for column in seen], dtype=object)
    return Dataset(str(path), scaled[train], y[train], scaled[test], y[test], classes, names, "features")


def _number_classes(source: str, labels: list[str]) -> tuple[list[str], NDArray[np.int64]]:
    names, y = np.unique(np.array(labels, dtype=object), return_inverse=True)
    if len(names) < 2:
        raise DemoError(
            f"{source}: all {len(labels)} documents belong to one class ({names[0]}); two are needed"
        )
    if len(labels) > 20 and len(names) > len(labels) / 2:
        raise DemoError(
            f"{source}: {len(names)} labels for {len(labels)} documents; classes are expected, not numbers"
        )
    return names.tolist(), y.astype(np.int64)


def split(source: str, y: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out a fifth of each class, at least one document of a class that has two; shuffle the others."""
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(y), dtype=bool)
    for label in range(y.max() + 1):
        members = rng.permutation(np.flatnonzero(y == label))
        if len(members) > 1:
            held_out[members[: max(1, round(HELD_OUT * len(members)))]] = True
    if not held_out.any():
        raise DemoError(f"{source}: every class has one document, so none can be held out")
    return rng.permutation(np.flatnonzero(~held_out)), np.flatnonzero(held_out)


def _check_size(source: str, n_columns: int, n_classes: int) -> None:
    """Refuse data whose dense weights would not fit: svmlight files of hashed features can be very wide."""
    n_bytes = n_columns * n_classes * np.dtype(DTYPE).itemsize
    if n_bytes > WEIGHT_BYTES_LIMIT:
        raise DemoError(
            f"{source}: {n_columns:,} columns and {n_classes:,} classes need {n_bytes / 2**30:.1f} GiB of weights"
        )


def _canonical(X: sp.csr_array) -> sp.csr_array:
    """Return X in the demo's dtype, sorted, without duplicates and explicit zeros."""
    X = sp.csr_array(X, dtype=DTYPE)
    X.sum_duplicates()
    X.eliminate_zeros()
    return sp.csr_array((X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)), shape=X.shape)


def _first_line(error: object) -> str:
    return (str(error).splitlines() or ["unreadable"])[0]
