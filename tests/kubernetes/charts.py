"""The chart, installed on the cluster of the tests as an operator would: a release in a namespace of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from tests.cluster import chart, environment
from tests.cluster.builds import HELM
from tests.cluster.layout import PROJECT
from tests.functional.conftest import HEALTH, Platform
from tests.kubernetes.platforms import PATIENCE, approve
from tests.timing import Pauses

if TYPE_CHECKING:
    from tests.filling import Disk
    from tests.kubernetes.conftest import UsedCluster

NAME = "hub-ext"  # of the release
README = (PROJECT / "README.md").read_text()
PAGES = ("/hub/login", HEALTH)
# Where anything of a release may be.
KINDS = (
    "all,configmaps,secrets,persistentvolumeclaims,serviceaccounts,networkpolicies,poddisruptionbudgets,ingresses,"
    "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"
)


def program(cluster: UsedCluster) -> Path:
    """Return helm: the one that is built for a cluster of this machine, else that of the PATH."""
    if cluster.local is not None:
        return HELM.make(print) / "helm"
    found = shutil.which("helm")
    if not found:
        pytest.skip("The chart is installed by helm, which is not on the PATH.")
    return Path(found)


def base_values(cluster: UsedCluster, folder: Path) -> dict[str, Any]:
    """Return values for a trial on the cluster.

    Args:
        cluster: The cluster.
        folder: Of the test.
    """
    if cluster.local is not None:
        images = cluster.local.add_chart(print)
        catalog = cluster.catalog(folder / "profiles")
        found: dict[str, Any] = json.loads(chart.values(catalog, images))
        return found
    named = os.environ.get("HUB_EXT_TEST_VALUES")
    if not named:
        pytest.skip("On a cluster of somebody else's, HUB_EXT_TEST_VALUES names the values of the chart.")
    return dict(json.loads(Path(named).read_text()))


def readme_lines(block: int = 0) -> list[str]:
    """Return the lines of README's section on clusters: of its first block (a trial), or of the second (a provider)."""
    section = README.partition("## In a cluster")[2].partition("\n## ")[0]
    text = section.split("```sh\n")[block + 1].partition("```")[0]
    return text.replace("\\\n", "").splitlines()


class Helm:
    """helm, called from Python.

    Args:
        program: Which one.
        kubeconfig: Of the cluster.
        folder: Where it may keep things.
    """

    def __init__(self, program: Path, kubeconfig: Path, folder: Path) -> None:
        self.program = program
        self.env = {"PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}

    def run(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run it; return what it said, however it ended."""
        command = [str(self.program), *arguments]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=seconds, check=False)

    def __call__(self, *arguments: str, seconds: float = 300) -> str:
        """Run it; return what it printed. It has to succeed."""
        answer = self.run(*arguments, seconds=seconds)
        assert answer.returncode == 0, f"helm {' '.join(arguments)}: {answer.stdout[-2000:]}{answer.stderr[-3000:]}"
        return answer.stdout


class Release(Platform):
    """A release of the chart.

    Args:
        cluster: The cluster.
        folder: Of the test.
        values: Values beside those of a trial.
    """

    def __init__(self, cluster: UsedCluster, folder: Path, **values: Any) -> None:
        super().__init__(folder / "state")
        self.cluster = cluster
        self.id = uuid4().hex[:6]
        self.namespace = f"chart-{self.id}"
        self.helm = Helm(program(cluster), cluster.kubeconfig, folder)
        self.values_file = folder / "values.yaml"
        self.values = base_values(cluster, folder) | values
        self.volumes: dict[str, Disk] = {}  # those that are small: state, database, home
        self.port = None  # type: ignore[assignment]  # that of http, which no address shows

    def kubectl(self, *arguments: str, **more: Any) -> str:
        """Run kubectl in the release's namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, **more)

    # What an operator does.

    def make_namespace(self) -> None:
        """Make the namespace, at the Pod Security level that admits nothing but `restricted` pods."""
        levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        about = {"name": self.namespace, "labels": levels}
        self.cluster.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": about})

    def install(self) -> float:
        """Install it by the lines of README; return the seconds until the first page and the service answer."""
        self.make_namespace()
        self._write()
        lines = readme_lines()
        began = time.monotonic()
        self.paste(next(line for line in lines if " install " in line))
        self.url = self.paste(next(line for line in lines if line.startswith("echo "))).strip()
        self.wait_until_answers()
        took = time.monotonic() - began
        self.password = self.paste(next(line for line in lines if "get secret" in line))
        return took

    def paste(self, line: str) -> str:
        """Run a line of README as it stands, but for where things are; return what it printed."""
        command = ["bash", "-euc", self._here(line)]
        done = subprocess.run(
            command, cwd=PROJECT, env=self.helm.env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stderr[-2000:]}{self.told()}"
        return done.stdout

    def _here(self, text: str) -> str:
        """Return lines of README with where things are here."""
        tools = self.helm.program.parent, self.cluster.kubectl.program.parent
        for there, here in (
            (".cluster/bin/helm", f"{tools[0]}/helm"),
            (".cluster/bin/kubectl", f"{tools[1]}/kubectl"),
            (".cluster/values.yaml", str(self.values_file)),
            (".cluster/provider", str(self._provider_file)),
            ("--namespace hub-ext", f"--namespace {self.namespace}"),
            ("-n hub-ext", f"-n {self.namespace}"),
        ):
            text = text.replace(there, here)
        return text

    @property
    def _provider_file(self) -> Path:
        """Where `make provider` says what the chart needs to know of it."""
        local = self.cluster.local  # where it is none, there is no provider either
        return (local.layout.folder if local is not None else self.values_file.parent) / "provider"

    @contextlib.contextmanager
    def provider(self, *people: str) -> Iterator[str]:
        """Have people sign in by a provider, by the lines of README as they stand; yield its address.

        Args:
            people: name=group,group; any password will do.
        """
        self._write()
        told, log = self._provider_file, self.values_file.with_name("provider.log")
        told.unlink(missing_ok=True)
        where = {"HOME": os.environ["HOME"], "HUB_EXT_CLUSTER": str(told.parent), "PEOPLE": " ".join(people)}
        command = ["bash", "-euc", self._here("\n".join(readme_lines(1)))]
        with log.open("wb") as said:
            process = subprocess.Popen(
                command, cwd=PROJECT, env=self.helm.env | where, stdout=said, stderr=said, start_new_session=True
            )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(300)
            assert process.returncode == 0, f"{log.read_text()[-3000:]}{self.told()}"
            yield environment.read(told)["ISSUER"]
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # with what goes on behind the lines
            self.until(lambda: process.poll() is not None and not told.exists(), 60)

    def upgrade(self, **values: Any) -> None:
        """Upgrade it with other values, and wait until that is done."""
        self.values |= values
        self._write()
        given = ("--values", str(self.values_file), "--timeout", "4m", "--wait")
        self.helm("upgrade", NAME, str(chart.FOLDER), "--namespace", self.namespace, *given)

    def approve(self, text: str) -> None:
        """Let clara propose a version of a profile, and rene approve it; both are curators, and one suffices."""
        approve(self.api, text)

    def _write(self) -> None:
        self.values_file.write_text(json.dumps(self.values))

    def uninstall(self) -> None:
        """Uninstall it, and remove the namespaces of people, as docs/install.md says."""
        self.helm("uninstall", NAME, "--namespace", self.namespace, "--wait", "--ignore-not-found")
        people = f"hub-ext/platform={self.namespace}"
        kubectl = self.cluster.kubectl
        kubectl("delete", "namespace", "-l", people, "--ignore-not-found", "--wait=true", seconds=240)

    def close(self) -> None:
        """Take all of it out of the cluster."""
        super().close()
        self.uninstall()
        self.cluster.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=true", seconds=240)

    # What is seen.

    def answers(self) -> bool:
        """Return whether Hub and service answer now."""
        with contextlib.suppress(httpx.HTTPError):
            found = [httpx.get(self.url + page, trust_env=False, timeout=2).status_code for page in PAGES]
            return found == [200, 200]
        return False

    def wait_until_answers(self, seconds: float = 240) -> None:
        """Wait until they do."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.1)

    def until(self, what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Return the first true answer; a test that gets none shows what is known of the release."""
        deadline, pause = time.monotonic() + seconds, Pauses()
        while not (found := what()):
            assert time.monotonic() < deadline, self.told()
            pause()
        return found

    def told(self) -> str:
        """Return what is known of its pods, for a test that fails."""
        parts = [self.kubectl("get", "pods,events")]
        for part in ("hub", "service", "proxy", "postgresql"):
            with contextlib.suppress(Exception):
                parts.append(self.kubectl("logs", f"deployment/hub-ext-{part}", "--all-containers", "--tail=30"))
        return "\n".join(parts)[-8000:]

    def ports(self) -> dict[str, tuple[str, int]]:
        """Return where the release's parts listen: name → address in the cluster, and port."""
        found = {
            one["metadata"]["name"]: one["spec"] for one in self.cluster.kubectl.items("services", "-n", self.namespace)
        }
        named = {
            "postgresql": ("hub-ext-postgresql", 0),
            "hub": ("hub-ext-hub", 0),
            "service": ("hub-ext-service", 0),
            "executors": ("hub-ext-service", 1),
            "proxy": ("hub-ext-proxy", 0),
            "proxy's API": ("hub-ext-proxy-api", 0),
        }
        return {
            name: (found[service]["clusterIP"], int(found[service]["ports"][number]["port"]))
            for name, (service, number) in named.items()
        }

    def objects(self) -> list[str]:
        """Return what there is of it, in its namespace and beside namespaces."""
        found = self.cluster.kubectl("get", KINDS, "--all-namespaces", "-o", "name", "--ignore-not-found")
        mine = [one for one in found.split() if self.namespace in one]
        here = self.kubectl("get", KINDS, "-o", "name", "--ignore-not-found").split()
        usual = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
        inside = [one for one in here if one not in usual and not one.split("/")[0].startswith(_ANYWHERE)]
        return sorted({*mine, *inside})


_ANYWHERE = ("clusterrole", "validatingadmissionpolicy")


class Watch:
    """Asks for pages again and again, and knows for how long each was away.

    Args:
        urls: What is asked for.
    """

    def __init__(self, *urls: str) -> None:
        self.longest = dict.fromkeys(urls, 0.0)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(url,)) for url in urls]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _look(self, url: str) -> None:
        good = time.monotonic()
        with httpx.Client(trust_env=False, timeout=2) as client:
            while not self._stop.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    if client.get(url).status_code < 500:
                        good = time.monotonic()
                self.longest[url] = max(self.longest[url], time.monotonic() - good)
                self._stop.wait(0.05)
