"""The package as users get it: built, installed into a fresh environment, used."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from node import local_node
from vectors import PROJECT

_QUERY = """
import sys
import lfclient
assert lfclient.__file__.startswith(sys.prefix), lfclient.__file__
with lfclient.Client(sys.argv[1]) as client:
    owner = lfclient.Owner.generate()
    client.set("installed#5", b"yes", owner=owner)
    print([(found.names, found.value) for (found,) in client.query("installed#")])
"""


def run(*command: str | Path) -> str:
    ran = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def test_wheel_in_a_fresh_environment(tmp_path: Path) -> None:
    project, dist = PROJECT / "clients" / "python", tmp_path / "dist"
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, project)
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "lfclient/py.typed" in names and any(name.endswith("LICENSE-MIT") for name in names)
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("src/lfclient/__init__.py") for name in archive.getnames())
    run(sys.executable, "-m", "venv", tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    wheels = os.environ.get("LF_PYTHON_WHEELS")
    source = ["--no-index", "--find-links", wheels] if wheels else []
    run(python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *source, wheel)
    with local_node() as node:
        assert run(python, "-I", "-c", _QUERY, node.url) == "[(['installed#5'], b'yes')]\n"
