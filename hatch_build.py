"""Compiles rules/ into the one index file that a wheel carries beside the pages."""

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class IndexRules(BuildHookInterface):
    """Adds delivcheck/rules/index.json to every wheel that is not an editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the index into a scratch folder and name it to the builder."""
        if version == "editable":
            return
        root = Path(self.root)
        spec = importlib.util.spec_from_file_location("rulefiles", root / "src/delivcheck/rulefiles.py")
        assert spec is not None
        assert spec.loader is not None
        rulefiles = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(rulefiles)
        self.scratch = tempfile.TemporaryDirectory()
        index = Path(self.scratch.name) / rulefiles.INDEX_IN_WHEEL
        index.write_text(json.dumps(rulefiles.compiled(root / "rules")), encoding="utf-8")
        build_data["force_include"][str(index)] = f"delivcheck/rules/{rulefiles.INDEX_IN_WHEEL}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 -- the hook's shape
        """Remove the scratch folder."""
        if version != "editable":
            self.scratch.cleanup()
