"""Model files by the SHA-256 of their bytes: never changed, and never opened if a byte differs."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


class AlteredArtifact(Exception):
    """A model file is missing, or is not what was registered."""


class ArtifactStore:
    """Files under one directory, which all processes share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, content: bytes) -> str:
        """Stores the bytes, and returns their digest in hex."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self._holds(path, sha256):
            # Written beside and renamed: a crash leaves no half file under a digest's name.
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).chmod(0o444)
            Path(file.name).rename(path)
        return sha256

    def get(self, sha256: str) -> bytes:
        """The bytes with that digest. Raises `AlteredArtifact` unless the file has it."""
        try:
            content = self._path(sha256).read_bytes()
        except OSError:
            raise AlteredArtifact(f"artifact {sha256[:12]} is missing") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise AlteredArtifact(f"artifact {sha256[:12]} has been altered")
        return content

    def _holds(self, path: Path, sha256: str) -> bool:
        """Whether the file is there with its digest; `put` replaces one that was altered."""
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256

    def _path(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256
