"""Templates as Jinja compiled them, kept from run to run."""

from __future__ import annotations

import base64

from jinja2.bccache import Bucket, BytecodeCache

from greentactics.text.kept import Kept, digest


class CompiledTemplates(BytecodeCache):
    """Keeps what Jinja compiled for as long as the program that has set up its environment is the same."""

    def __init__(self, kept: Kept, program: str) -> None:
        self._kept = kept
        self._program = program

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket of a template where the same program compiled the same text."""
        if code := self._kept.get(self._key(bucket)):
            bucket.bytecode_from_string(base64.b64decode(code))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what is in a bucket."""
        self._kept.put(self._key(bucket), base64.b64encode(bucket.bytecode_to_string()).decode())

    def _key(self, bucket: Bucket) -> str:
        return digest("template", self._program, bucket.key, bucket.checksum)
