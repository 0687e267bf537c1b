"""A node of our own, as a process: the binary LF_BIN names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Node:
    url: str
    home: Path
    process: subprocess.Popen[str]


def lf_bin() -> str:
    found = os.environ.get("LF_BIN")
    if not found:
        pytest.skip("LF_BIN does not name the lf program")
    return found


@contextmanager
def local_node(*arguments: str) -> Iterator[Node]:
    """A node in local test mode, with a home of its own; gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="lf-python-"))
    command = [lf_bin(), "node", "start", "--localtest", "--http", "127.0.0.1:0", "--path", str(home), *arguments]
    log = open(home / "output", "w+", encoding="utf-8")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        url = None
        assert process.stdout is not None
        for line in process.stdout:
            ready = re.search(r"ready: (http://\S+)", line)
            if ready:
                url = ready[1]
                break
        if url is None:
            log.seek(0)
            raise AssertionError(f"the node did not start: {log.read()}")
        yield Node(url, home, process)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        log.close()
        shutil.rmtree(home)
