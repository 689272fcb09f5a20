"""Model files by the SHA-256 of their bytes: never changed, and never opened if a byte differs."""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


class AlteredArtifact(Exception):
    """A model file is missing, or is not what was registered."""


class ArtifactStore:
    """Files under one directory; `mac` authenticates a digest with a key that the directory does not hold."""

    def __init__(self, directory: Path, mac: Callable[[str], str]) -> None:
        self._directory = directory
        self._mac = mac

    def put(self, content: bytes) -> tuple[str, str]:
        """Stores the bytes, and returns their digest and its MAC, both in hex."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Written beside and renamed: a crash leaves no half file under a digest's name.
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).chmod(0o444)
            Path(file.name).rename(path)
        return sha256, self._mac(sha256)

    def get(self, sha256: str, mac: str) -> bytes:
        """The bytes of that digest. Raises `AlteredArtifact` unless digest and MAC both fit."""
        try:
            content = self._path(sha256).read_bytes()
        except OSError:
            raise AlteredArtifact(f"artifact {sha256[:12]} is missing") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise AlteredArtifact(f"artifact {sha256[:12]} has been altered")
        if not hmac.compare_digest(self._mac(sha256), mac):
            raise AlteredArtifact(f"artifact {sha256[:12]} was not registered under this SECRET")
        return content

    def _path(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256
