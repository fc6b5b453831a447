"""`hub-ext up`: the whole platform in the foreground, until Ctrl-C."""

from __future__ import annotations

import contextlib
import getpass
import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import psutil

from hub_ext.embedded.environment import HubEnvironment
from hub_ext.embedded.logs import keep_small
from hub_ext.embedded.names import check_roles, parse_roles
from hub_ext.embedded.processes import Recorded, descendants, end, port_is_free, signal_all
from hub_ext.embedded.runs import cancel_runs
from hub_ext.embedded.state import StateFolder, unusable
from hub_ext.errors import Conflict, HubExtError, InvalidInput, StorageFull, Unavailable
from hub_ext.executor.events import FULL
from hub_ext.settings import HubExt
from hub_ext.signin import secret
from hub_ext.spawner.answering import last_words

_SPACE = 64 * 2**20  # least free bytes to start with
_UP_WITHIN = 120.0  # seconds until Hub and service answer
_STOP_WITHIN = 30.0  # seconds that the Hub gets to stop servers and service
_DEATHS, _DEATHS_IN = 5, 60.0  # so many deaths of the Hub in so many seconds are given up on
_LOGS_EVERY = 20.0  # seconds between two looks at the size of the logs
# Each thread that checked a password would otherwise keep an arena of what that took (glibc; 100 people cost the Hub
# 104 MiB, so 39).
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}


def say(text: str) -> None:
    """Tell the person at the terminal something."""
    print(text, flush=True)  # noqa: T201


def main(settings: HubExt, port: int, password: str | None) -> int:
    """Run the platform until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        settings: All settings.
        port: The public port.
        password: The password to use; None for the state folder's own, made at the first start.

    Returns:
        The exit code: 0 after Ctrl-C, 1 if the platform could not go on, 2 if a setting is wrong.
    """
    try:
        return Platform(settings, port, password).run()
    except HubExtError as error:
        return _refuse(error)
    except OSError as error:
        if error.errno not in FULL:
            raise
        return _refuse(unusable(error, settings.state))


def reached_by_pods(settings: HubExt) -> tuple[str, int] | None:
    """Return address and port for the Hub to listen on so that pods reach it; None where servers are processes here.

    Args:
        settings: All settings.

    Raises:
        InvalidInput: If they do not say an address of this machine with its port.
    """
    if settings.runtime == "local":
        return None
    try:
        url = urlsplit(settings.pods_hub_url)
        host, port = str(ipaddress.ip_address(url.hostname or "")), url.port
    except ValueError:
        host, port = "", None
    if not host or not port:
        message = "must be the address of this machine that pods reach, and a port, such as http://10.0.0.1:8081"
        raise InvalidInput.of("HUB_EXT_PODS_HUB_URL", message)
    return host, port


def _refuse(error: HubExtError) -> int:
    print(f"{error.title}: {error.detail}", file=sys.stderr)  # noqa: T201
    if error.hint:
        print(error.hint, file=sys.stderr)  # noqa: T201
    return 2 if isinstance(error, InvalidInput) else 1


class Platform:
    """One platform: its state folder, its Hub, and the signals that end it.

    Args:
        settings: All settings.
        port: The public port.
        password: As for `main`.
    """

    def __init__(self, settings: HubExt, port: int, password: str | None) -> None:
        self.settings = settings
        self.port = port
        self.given_password = password
        self.url = f"http://127.0.0.1:{port}"
        self.stop = threading.Event()
        self.signals = 0
        self.welcomed = False
        self.hub: subprocess.Popen[bytes] | None = None
        self.environ: dict[str, str] = {}
        self.logged: dict[str, int] = {}  # how large each log was when the Hub was started

    def run(self) -> int:
        """Start, stay, stop; return the exit code.

        Raises:
            HubExtError: If it cannot be started.
        """
        self._roles()
        self.state = StateFolder(self.settings.state)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._signalled)
        self._end_leftovers()
        self._check_surroundings()
        made = self._prepare()
        try:
            self._start_hub()
            self._wait_until_up()
            if not self.stop.is_set():
                self._welcome(made)
            return self._stay()
        finally:
            self._stop_all()
            self.state.release()

    # Before the start.

    def _roles(self) -> None:
        text = os.environ.get("HUB_EXT_ROLES", "")
        if text and not text.lstrip().startswith("{"):
            self.settings.roles = dict(self.settings.roles) | parse_roles(text)
        check_roles(dict(self.settings.roles), "HUB_EXT_ROLES")

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1
        self.stop.set()

    def _end_leftovers(self) -> None:
        """End what a crash left: the Hub first, and at once, so that it stops no server; servers and runs stay."""
        for name in ("hub", "service", "proxy"):
            path = self.state.run / f"{name}.json"
            recorded = Recorded.load(path)
            process = recorded.process() if recorded else None
            if process is not None:
                say(f"Ending what an earlier start left: {name} (process {process.pid}).")
                signal_all([process], kill=name == "hub")
                end([process], 5.0)
            path.unlink(missing_ok=True)

    def _check_surroundings(self) -> None:
        if not port_is_free(self.port):
            raise Conflict(
                f"The port {self.port} is taken{_holder(self.port)}.", hint="Set HUB_EXT_PORT to another one."
            )
        if shutil.disk_usage(self.state.path).free < _SPACE:
            raise StorageFull(
                f"There is less than {_SPACE // 2**20} MB of space left for the state folder {self.state.path}.",
                hint="Make space, or set HUB_EXT_STATE.",
            )

    def _prepare(self) -> str | None:
        hashed, made = self.state.password(self.given_password)
        ports = self.state.ports(("hub", "proxy"))
        hub_ip, hub_port = reached_by_pods(self.settings) or ("127.0.0.1", ports["hub"])
        told = HubEnvironment(
            port=self.port,
            hub_ip=hub_ip,
            hub_port=hub_port,
            proxy_port=ports["proxy"],
            proxy_password=self.state.secret("proxy-password"),
            password_hash=hashed,
            cookie_suffix=f"-{self.state.secret('platform', 4)}",
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_EXT", "JUPYTER"))}
        ours = self.settings.to_environment() | told.as_environment()
        given = os.environ.get(secret.VARIABLE)  # the Hub takes it out of its environment before it starts anything
        self.environ = _FEW_ARENAS | kept | ours | ({secret.VARIABLE: given} if given else {})
        return made

    # The Hub.

    @property
    def configuration(self) -> Path:
        """The file of the Hub's configuration."""
        return Path(__file__).with_name("jupyterhub_config.py")

    def _start_hub(self) -> None:
        self.logged = {log.name: log.stat().st_size for log in self._logs() if log.exists()}
        command = [sys.executable, "-P", "-m", "hub_ext.embedded.hub", "-f", str(self.configuration)]
        with (self.state.logs / "hub.log").open("ab") as log:
            # A session of its own: Ctrl-C is for us alone, and we tell the Hub.
            self.hub = subprocess.Popen(  # noqa: S603
                command,
                env=self.environ,
                cwd=self.state.run,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        recorded = Recorded.of(self.hub.pid)
        if recorded is not None:
            recorded.save(self.state.run / "hub.json")

    def _wait_until_up(self) -> None:
        """Return when Hub and service answer, or when somebody stops us.

        Raises:
            Unavailable: If they do not, or the Hub ends.
        """
        service = f"/services/{self.settings.service_name}/api/v1/health"
        self._wait_for("Hub", lambda: _answers(f"{self.url}/hub/health"))
        self._wait_for("sharing service", lambda: _answers(f"{self.url}{service}"))

    def _wait_for(self, what: str, ready: Callable[[], bool]) -> None:
        until, told = time.monotonic() + _UP_WITHIN, time.monotonic() + 3
        while not self.stop.is_set() and not ready():
            if self.hub is None or self.hub.poll() is not None:
                raise Unavailable(self._why_not(f"The Hub ended while the {what} was starting"), hint=self._where())
            if time.monotonic() > until:
                raise Unavailable(self._why_not(f"The {what} does not answer"), hint=self._where())
            if told and time.monotonic() > told:
                say(f"Waiting for the {what} …")
                told = 0.0
            self.stop.wait(0.05)

    def _why_not(self, sentence: str) -> str:
        words = [last_words(log, since=self.logged.get(log.name, 0)) for log in self._logs()]
        said = next((one for one in words if one), "")
        return f"{sentence}. It said: {said}" if said else f"{sentence}."

    def _logs(self) -> list[Path]:
        return [self.state.logs / name for name in ("hub.log", "service.log", "proxy.log")]

    def _where(self) -> str:
        return f"The logs are in {self.state.logs}."

    def _welcome(self, made: str | None) -> None:
        self.welcomed = True
        say(f"\nhub-ext is running at {self.url}")
        say(f"  State folder  {self.state.path}")
        if self.settings.sign_in_issuer:
            say(f"  Sign-in       by {self.settings.sign_in_issuer}")
        elif made:
            say(f"  Password      {made}    (shown this once; HUB_EXT_PASSWORD sets another)")
        if not self.settings.sign_in_issuer:
            say("  Sign in as admin for all roles, or under any other name as an analyst.")
        if self.settings.runtime == "local":
            say(f"  Everybody's code runs as {getpass.getuser()} on this machine; nobody else can connect.")
        else:
            say("  Everybody's code runs in pods, each person's in a namespace of its own.")
        say("  Ctrl-C stops everything.\n")

    # While it runs.

    def _stay(self) -> int:
        deaths: deque[float] = deque(maxlen=_DEATHS)
        looked = time.monotonic()
        while not self.stop.wait(0.1):
            if self.hub is not None and self.hub.poll() is not None:
                deaths.append(time.monotonic())
                if len(deaths) == _DEATHS and deaths[-1] - deaths[0] < _DEATHS_IN:
                    raise Unavailable(self._why_not(f"The Hub ended {_DEATHS} times in a minute"), hint=self._where())
                self._again(sum(deaths[-1] - one < _DEATHS_IN for one in deaths))
            if time.monotonic() - looked > _LOGS_EVERY:
                looked = time.monotonic()
                keep_small(self.state.logs)
        return 0

    def _again(self, deaths: int) -> None:
        assert self.hub is not None  # noqa: S101  # it just ended
        say(f"The Hub ended unexpectedly ({_ending(self.hub.returncode)}); starting it again.")
        self._end_leftovers()
        if deaths > 1:
            self.stop.wait(min(2.0 ** (deaths - 2), 10.0))
        if self.stop.is_set():
            return
        self._start_hub()
        with contextlib.suppress(Unavailable):  # the loop sees a Hub that ends again
            self._wait_until_up()
            say("The Hub is back.")

    # The end.

    def _stop_all(self) -> None:
        hub = self.hub
        if hub is not None and hub.poll() is None:
            say("Stopping servers, service and Hub … (Ctrl-C again ends them at once)")
            self._end_hub(psutil.Process(hub.pid))
        self._end_leftovers()
        self._cancel_runs()
        if self.welcomed:
            say("Stopped.")

    def _end_hub(self, process: psutil.Process) -> None:
        heard = self.signals
        tree = descendants(process)
        signal_all([process])
        until = time.monotonic() + _STOP_WITHIN
        while self.hub is not None and self.hub.poll() is None:
            if time.monotonic() > until or self.signals > heard:
                signal_all({*tree, *descendants(process)}, kill=True)
            time.sleep(0.02)

    def _cancel_runs(self) -> None:
        heard = self.signals
        try:
            cancel_runs(self.settings, lambda: self.signals > heard)
        except HubExtError as error:
            say(f"The runs could not be cancelled: {error.detail} The next start tells how they ended.")


def _holder(port: int) -> str:
    """Say which process listens on a port, as far as one may know."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                name = psutil.Process(connection.pid).name() if connection.pid else ""
                return f" by process {connection.pid} ({name})" if name else ""
    return ""


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _answers(url: str) -> bool:
    try:
        # The address is ours; a proxy of the environment has nothing to do with it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False
