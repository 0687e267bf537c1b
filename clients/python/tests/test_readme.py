"""Every example of the README runs, and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from node import local_node
from vectors import PROJECT

README = PROJECT / "clients" / "python" / "README.md"


def test_examples(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```\n\nprints\n\n```\n(.*?)```", text, re.DOTALL)
    assert len(examples) == text.count("```python"), "every example says what it prints"
    with local_node() as node:
        for code, prints in examples:
            code = code.replace("http://127.0.0.1:9980", node.url)
            command = [sys.executable, "-c", code]
            paths = {"PYTHONPATH": str(README.parent / "src")}
            ran = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True, timeout=300)
            assert ran.stdout == prints, ran.stderr
    print(f"README.md {len(examples)}")
