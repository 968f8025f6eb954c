"""Every branch of checks, records, engine and policy is tested; elsewhere an honest number is printed.

Run by `poe check` after the tests: python -m tests.coverage_gate
"""

import json
import subprocess
import sys
from pathlib import Path

WHOLE = ("checks/", "records/", "engine.py", "policy.py")


def main():
    subprocess.run([sys.executable, "-m", "coverage", "combine", "-q"], check=False)
    subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", ".coverage.json"], check=True)
    report = json.loads(Path(".coverage.json").read_text())
    gaps = []
    for path, file in sorted(report["files"].items()):
        place = path.partition("src/delivcheck/")[2]
        if place.startswith(WHOLE) and (file["missing_lines"] or file.get("missing_branches")):
            branches = ", ".join(f"{start}→{end}" for start, end in file.get("missing_branches", []))
            gaps.append(f"  {place}: lines {file['missing_lines']}; branches {branches}")
    print(f"coverage: {report['totals']['percent_covered']:.1f} % of lines and branches overall")
    if gaps:
        print("not covered, though every branch there must be:", *gaps, sep="\n")
        sys.exit(1)
    print("every branch of checks, records, engine and policy is covered")


if __name__ == "__main__":
    main()
