"""Files of the pages: compressed and named by their content once ``collectstatic`` has run."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class CollectedStorage(CompressedManifestStaticFilesStorage):
    """A name by content may be cached for ever. What nobody has collected is served from where it lies."""

    def stored_name(self, name: str) -> str:
        """The name by content, else the plain one."""
        return self.hashed_files.get(self.hash_key(name), name)
