"""`make sbom`: what stripwatch is made of, for those who watch over vulnerabilities."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def normal(requirement: str) -> str:
    """The name in a requirement as package indexes compare it."""
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_it_names_every_base_dependency_with_its_version(tmp_path: Path) -> None:
    """The root of the graph is this version of stripwatch."""
    file = tmp_path / "sbom.json"
    # The environment is there: it runs this test.
    command = ["make", "-C", str(ROOT), "-o", f"{sys.prefix}/.test", f"VENV={sys.prefix}"]
    subprocess.run([*command, f"SBOM_FILE={file}", "sbom"], check=True, capture_output=True)
    bom = json.loads(file.read_text())
    assert bom["bomFormat"] == "CycloneDX"
    root = bom["metadata"]["component"]
    assert root["name"] == "stripwatch"
    versions = {normal(entry["name"]): entry["version"] for entry in bom["components"]}
    references = {entry["bom-ref"]: normal(entry["name"]) for entry in bom["components"]}
    (direct,) = (
        entry["dependsOn"] for entry in bom["dependencies"] if entry["ref"] == root["bom-ref"]
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {normal(requirement) for requirement in project["dependencies"]}
    assert base <= {references[reference] for reference in direct}
    assert all(versions[name] for name in base)
