"""Build hook of hatchling: compiles the native function of inspection where there is a compiler.

Without one the package is as complete, and inspection slower (docs/adr/0035).
"""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("daemon/stripwatch/inspect/native")


class NativeBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg,unused-ignore]
    """Adds the library to wheels, and puts it beside its source for editable installations."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile before the files are collected."""
        if self.target_name != "wheel":
            return
        module = runpy.run_path(str(Path(self.root, FOLDER, "compile.py")))
        library = Path(module["LIBRARY"])
        fault = module["compile_library"]()
        if fault:
            library.unlink(missing_ok=True)  # it may be of an older source
            self.app.display_warning(f"inspection will be slower: {fault}")
            return
        # It is loaded with ctypes, so it fits every Python on this platform.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(str(library.relative_to(self.root)))
