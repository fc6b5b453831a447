"""Print where promtool is: Debian's, taken out of its package, so that no Prometheus is started on this machine."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path.home() / ".cache" / "hub-ext" / "promtool"


def promtool() -> Path:
    """Return the command; downloads it once.

    Raises:
        RuntimeError: If it is not here, and Debian's packages are not at hand.
    """
    there = shutil.which("promtool")
    if there:
        return Path(there)
    command = CACHE / "promtool"
    if command.exists():
        return command
    if shutil.which("apt-get") is None:
        message = "promtool is missing: install Prometheus (Debian has it in the package `prometheus`)"
        raise RuntimeError(message)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        download = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "prometheus"]
        if subprocess.run(download, cwd=folder, check=False).returncode:
            subprocess.run(["apt-get", "update", "-qq"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(download, cwd=folder, check=True)
        package = next(Path(folder).glob("prometheus_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
        (Path(folder) / "usr/bin/promtool").rename(command)
    return command


if __name__ == "__main__":
    sys.stdout.write(f"{promtool()}\n")
