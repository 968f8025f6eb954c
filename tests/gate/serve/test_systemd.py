import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "deploy" / "systemd"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_units_are_right_for_systemd(tmp_path):
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/usr/local/bin/delivcheck ", "/bin/true ")  # which is there
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "delivcheck" in line]
    assert (done.returncode, ours) == (0, [])


def test_systemd_waits_longer_than_the_gate_drains():
    from delivcheck.gate.serve.supervisor import GRACE, START_LIMIT
    from delivcheck.gate.settings import Gate

    said = dict(line.split("=", 1) for line in (UNITS / "delivcheck-gate.service").read_text().splitlines() if "=" in line)
    assert int(said["TimeoutStopSec"]) > Gate("x", ()).drain + GRACE
    assert int(said["TimeoutStartSec"]) > START_LIMIT


def test_one_of_several_is_a_unit_like_the_one():
    one, several = ((UNITS / f"delivcheck-gate{name}.service").read_text() for name in ("", "@"))
    said = [line for line in several.splitlines() if not line.startswith("#")]
    assert "%i.toml" in several
    assert [
        line.replace(" %i:", ":")
        .replace("/%i.toml", "/delivcheck.toml")
        .replace("delivcheck delivcheck/%i", "delivcheck")
        .replace("delivcheck-%i", "delivcheck")
        for line in said
    ] == [line for line in one.splitlines() if not line.startswith("#")]
