"""Templates as Jinja compiled them, kept from run to run."""

from __future__ import annotations

from jinja2.bccache import Bucket, BytecodeCache

from greentactics.text.kept import Kept


class CompiledTemplates(BytecodeCache):
    """Keeps what Jinja compiled for as long as the program that has set up its environment is the same."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket of a template where its text is the same."""
        if code := self._kept.get("template", bucket.key, bucket.checksum):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what is in a bucket."""
        self._kept.put(bucket.bytecode_to_string(), "template", bucket.key, bucket.checksum)
