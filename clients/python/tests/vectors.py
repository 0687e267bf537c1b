"""The vector files, and the sizes of them that tests print."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[3]
VECTORS = Path(os.environ.get("LF_VECTORS") or PROJECT / "vectors")


def load(name: str) -> list[dict[str, Any]]:
    """The cases of a file."""
    cases = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    assert isinstance(cases, list) and cases
    return cases


def report(name: str, count: int) -> None:
    """Says how many cases ran; none is a failure."""
    assert count > 0
    print(f"{name} {count}")


def unhex(text: Any) -> bytes:
    return bytes.fromhex(text)
