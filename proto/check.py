"""Asks buf whether the schema is well-formed, and whether it broke a promise since the last
release.

buf.yaml says which rules hold. No network: Google's files come from the installed packages.
`--release` makes the present schema the one that later ones must not break (released.binpb).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from image import ROOT, image

RELEASED = ROOT / "released.binpb"


def main() -> None:
    """Exit 1, with buf's words, if it complains."""
    if "--release" in sys.argv:
        RELEASED.write_bytes(image(comments=False))
        return
    buf = Path(sys.executable).with_name("buf")
    with tempfile.TemporaryDirectory() as folder:
        present = Path(folder) / "present.binpb"
        present.write_bytes(image(comments=True))
        config = ["--config", str(ROOT / "buf.yaml")]
        asked = (["lint", str(present)], ["breaking", str(present), "--against", str(RELEASED)])
        codes = [
            subprocess.run([buf, *question, *config], check=False).returncode for question in asked
        ]
        if any(codes):
            raise SystemExit("buf complains about proto/: see above")


if __name__ == "__main__":
    main()
