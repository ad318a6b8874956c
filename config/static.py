"""Storage of static files: compressed and named by a hash of their content after ``collectstatic``."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class CollectedStorage(CompressedManifestStaticFilesStorage):
    """Serve files under hashed names, which browsers may cache without limit.

    A file that ``collectstatic`` has not processed keeps its plain name.
    """

    def stored_name(self, name: str) -> str:
        """Return the hashed name if there is one, else the plain name."""
        return self.hashed_files.get(self.hash_key(name), name)
