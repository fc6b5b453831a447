"""Write the image's bill of materials (CycloneDX, JSON) to standard output: Python's packages and Debian's.

    python sbom.py PYTHON DPKG_STATUS

It has no time and no serial number in it, so that the same content is the same file.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def debian(status: str) -> list[dict[str, Any]]:
    """Return a component for each installed package of a dpkg status file."""
    found = []
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") != "install ok installed":
            continue
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        purl = f"pkg:deb/debian/{name}@{version}?arch={architecture}"
        found.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return sorted(found, key=lambda one: str(one["name"]))


def main(python: str, status: Path) -> None:
    """Write the bill."""
    command = ["cyclonedx-py", "environment", "--output-reproducible", "--of", "JSON", python]
    tool = Path(sys.executable).with_name(command[0])
    answer = subprocess.run([str(tool), *command[1:]], check=True, capture_output=True, text=True)
    bill = json.loads(answer.stdout)
    bill["components"] += debian(status.read_text(encoding="utf-8"))
    json.dump(bill, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
