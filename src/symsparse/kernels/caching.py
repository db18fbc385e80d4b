"""Compiled code on disk, safe to share: between processes, with a full or damaged disk, with other versions.

Numba numbers the files of a function's types in the order in which they were compiled. Two processes that compile for
different types at the same moment choose the same number, and a later one loads the code of one for the types of the
other. Here the name of a file is a digest of what it is for, so that such processes cannot meet. Files stay readable
for Numba without this module, and its files stay readable here.
"""

import hashlib
import pickle

from numba.core.caching import IndexDataCacheFile

_DIGEST = hashlib.sha256
_SIZE = _DIGEST().digest_size
_MARK = "symsparse-"  # in the names of files that end with their digest


class SafeCacheFile(IndexDataCacheFile):
    """Index and data files of one function. What cannot be read is compiled again; what cannot be written is left."""

    def save(self, key, data):
        """Store the code for a key: its file first, then the index that leads to it."""
        try:
            purpose = self._dump((self._version, self._source_stamp, key))
            name = self._data_name_pattern.replace("{number:d}", _MARK + _DIGEST(purpose).hexdigest()[:32])
            self._save_data(name, data)
            overloads = self._load_index()
            if overloads.get(key) != name:
                overloads[key] = name
                self._save_index(overloads)
        except OSError:  # a full or read-only disk: the next process compiles anew
            pass

    def load(self, key):
        """The code for a key, or None."""
        name = self._load_index().get(key)
        try:
            return None if name is None else self._load_data(name)
        except Exception:  # damaged files make pickle raise anything
            return None

    def _load_index(self):
        try:
            return super()._load_index()
        except Exception:
            return {}

    # A damaged file could be legal for pickle and yet hold no legal code. pickle does not read behind its own end, so
    # that is where the digest is.

    def _save_data(self, name, data):
        data = self._dump(data)
        with self._open_for_write(self._data_path(name)) as f:
            f.write(data + _DIGEST(data).digest())

    def _load_data(self, name):
        with open(self._data_path(name), "rb") as f:
            data = f.read()
        if _MARK in name:
            data, digest = data[:-_SIZE], data[-_SIZE:]
            if _DIGEST(data).digest() != digest:
                return None
        return pickle.loads(data)


def share_safely(cache):
    """Make the files of one function's cache safe to share."""
    cache._cache_file.__class__ = SafeCacheFile
    return cache
