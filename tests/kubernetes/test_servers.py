"""Servers as pods: from a profile to JupyterLab in a browser, what stays and what goes, and nobody else's business."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from hub_ext.kubernetes.places import namespace_name
from tests.functional.browser import chromium, visiting
from tests.kubernetes.platforms import PROMPT, ClusterPlatform, Person, wait_for

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as found:
        yield found


def in_pod(person: Person, *command: str, pod: str = "server") -> str:
    return person.kubectl("exec", pod, "-n", person.namespace, "--", *command)


# --- a start ---------------------------------------------------------------------------------------------------------


def test_a_person_starts_a_server_in_a_browser_and_jupyterlab_opens(
    platform: ClusterPlatform, browser: Browser, tmp_path: Path
) -> None:
    ana = platform.person("ana")
    with visiting(browser, platform, tmp_path) as visitor:
        visitor.sign_in(ana.name)
        visitor.page.goto(f"{platform.url}/hub/spawn")
        visitor.page.click("button[aria-label='Start Small']")
        visitor.page.wait_for_url(f"**/user/{ana.name}/lab**")
        visitor.page.wait_for_selector(".jp-Launcher")
        visitor.page.click(".jp-LauncherCard[data-category='Notebook']")
        cell = visitor.page.locator(".jp-Notebook .jp-Cell .cm-content").first
        cell.click()
        visitor.page.keyboard.type("print(6 * 7)")
        output = visitor.page.locator(".jp-OutputArea-output pre:has-text('42')")

        def shown() -> bool:  # JupyterLab loses what is run before it is connected to the kernel
            cell.click()
            visitor.page.keyboard.press("Control+Enter")
            visitor.page.wait_for_timeout(1000)
            return output.count() > 0

        wait_for(shown, told="the cell prints nothing")
        assert visitor.foreign == []
    assert "Untitled.ipynb" in in_pod(ana, "ls", "/home/analyst")
    ana.stop()


@pytest.fixture(scope="module")
def eva(platform: ClusterPlatform) -> Person:
    """Somebody whose server runs."""
    person = platform.person("eva")
    person.start("small")
    return person


def test_the_pod_is_closed_in_and_no_manifest_has_the_token(eva: Person) -> None:
    pod = eva.pod()
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] == 3600
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [one["name"] for one in container["env"]] == ["HUB_EXT_PROFILE"]
    token = in_pod(eva, "printenv", "JUPYTERHUB_API_TOKEN").strip()
    assert len(token) > 20
    shown = json.dumps(eva.kubectl.items("pods,networkpolicies,events", "-n", eva.namespace))
    assert token not in shown
    assert token not in (eva.platform.state / "logs" / "hub.log").read_text()
    with pytest.raises(Exception, match="Read-only file system"):
        in_pod(eva, "touch", "/opt/notebook/x")
    assert in_pod(eva, "sh", "-c", "ls /var/run/secrets 2>/dev/null | wc -l").strip() == "0"


def test_the_namespace_is_hers_closed_and_bounded(eva: Person) -> None:
    namespace = eva.kubectl.json("get", "namespace", eva.namespace)
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["hub-ext/user"] == eva.name
    names = {one["metadata"]["name"]: one["spec"] for one in eva.kubectl.items("networkpolicies", "-n", eva.namespace)}
    assert names.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ((name, opened),) = names.items()
    assert name == eva.pod()["metadata"]["labels"]["hub-ext/launch"]
    host = {"ipBlock": {"cidr": f"{eva.platform.cluster.host}/32"}}
    assert opened["ingress"][0]["from"] == [host]
    assert [rule["to"][0] for rule in opened["egress"]][1:] == [host]
    quota = eva.kubectl.json("get", "resourcequota", "hub-ext", "-n", eva.namespace)["spec"]["hard"]
    assert quota["pods"] == "6"
    assert quota["services"] == "0"


def test_what_somebody_changed_or_took_away_by_hand_is_mended_by_her_next_start(platform: ClusterPlatform) -> None:
    mia = platform.person("mia")
    mia.start("scratch")
    mia.stop()
    closed = mia.kubectl.json("get", "networkpolicy", "default-deny", "-n", mia.namespace)["spec"]
    hard = mia.kubectl.json("get", "resourcequota", "hub-ext", "-n", mia.namespace)["spec"]["hard"]
    patch = json.dumps({"spec": {"policyTypes": ["Ingress"]}})
    mia.kubectl("patch", "networkpolicy", "default-deny", "-n", mia.namespace, "--type=merge", "-p", patch)
    patch = json.dumps({"spec": {"hard": {"pods": "600", "limits.cpu": "1k"}}})
    mia.kubectl("patch", "resourcequota", "hub-ext", "-n", mia.namespace, "--type=merge", "-p", patch)
    mia.kubectl("delete", "limitrange", "hub-ext", "-n", mia.namespace)
    mia.start("scratch")
    assert mia.kubectl.json("get", "networkpolicy", "default-deny", "-n", mia.namespace)["spec"] == closed
    assert mia.kubectl.json("get", "resourcequota", "hub-ext", "-n", mia.namespace)["spec"]["hard"] == hard
    assert mia.kubectl.json("get", "limitrange", "hub-ext", "-n", mia.namespace)["spec"]["limits"]
    mia.stop()


def test_what_a_start_has_goes_with_its_pod_though_no_hub_is_there(platform: ClusterPlatform) -> None:
    ned = platform.person("ned")
    ned.start("scratch")
    hub = platform.hub()
    hub.suspend()
    try:
        ned.kubectl("delete", "pod", "server", "-n", ned.namespace, "--wait=true")
        ned.is_clean()
    finally:
        hub.resume()
    wait_for(lambda: "" not in ned.servers(), PROMPT)


def test_a_server_reaches_hub_and_service_as_its_person(eva: Person) -> None:
    ask = (
        "import os, urllib.request as u; e = os.environ; "
        "h = {{'Authorization': 'token ' + e['JUPYTERHUB_API_TOKEN']}}; "
        "print(u.urlopen(u.Request({}, headers=h)).read().decode())"
    )
    hub = in_pod(eva, "python", "-c", ask.format("e['JUPYTERHUB_API_URL']+'/user'"))
    assert json.loads(hub)["name"] == eva.name
    service = in_pod(eva, "python", "-c", ask.format("e['HUB_EXT_URL']+'/services/workflows/api/v1/profiles'"))
    assert "small" in [one["name"] for one in json.loads(service)["items"]]


# --- homes and named servers -----------------------------------------------------------------------------------------


def test_a_home_stays_when_the_server_goes_and_another_profile_has_it(platform: ClusterPlatform) -> None:
    ida = platform.person("ida")
    ida.start("small")
    in_pod(ida, "sh", "-c", "echo kept > /home/analyst/note")
    ida.stop()
    assert ida.has() == []
    assert ida.has("persistentvolumeclaims") == ["PersistentVolumeClaim/home"]
    ida.start("quick-look")
    assert in_pod(ida, "cat", "/home/analyst/note") == "kept\n"
    ida.stop()


def test_one_server_at_a_time_has_the_home_and_another_can_do_without(eva: Person) -> None:
    refused = eva.ask("small", "second")
    assert refused.status_code == 409
    assert "Your home folder is in use by your server" in refused.json()["message"]
    eva.start("scratch", "second")
    assert set(eva.servers()) == {"", "second"}
    assert in_pod(eva, "ls", "-A", "/home/analyst", pod="server-second").split("\n")[0] != "note"
    assert eva.client.get(f"/user/{eva.name}/second/api").status_code == 200
    eva.stop("second")
    assert eva.ready()
    assert (
        "failed",
        "Your home folder is in use by your server, and one server at a time can have it.",
    ) in eva.outcomes()


def test_who_lets_the_home_go_lets_another_server_have_it(platform: ClusterPlatform) -> None:
    olga = platform.person("olga")
    olga.start("small", "one")
    olga.stop("one")
    olga.start("small", "two")
    assert olga.ask("small", "one").status_code == 409
    olga.stop("two")
    olga.is_clean()


# --- nothing is made of a no -----------------------------------------------------------------------------------------


def test_a_denial_makes_nothing(platform: ClusterPlatform) -> None:
    zoe = platform.person("zoe")
    for profile, options in (("machine-learning", {}), ("nonsense", {}), ("small", {"memory": "64Gi"})):
        answer = zoe.ask(profile, **options)
        assert answer.status_code == 403, answer.text
    found = zoe.kubectl("get", "namespace", zoe.namespace, "--ignore-not-found")
    assert found.strip() == ""
    assert zoe.outcomes() == []


# --- at once ---------------------------------------------------------------------------------------------------------


def test_two_starts_at_once_are_one_server(platform: ClusterPlatform) -> None:
    una = platform.person("una")
    with ThreadPoolExecutor(4) as pool:
        answers = [one.status_code for one in pool.map(lambda _: una.ask("small"), range(4))]
    assert set(answers) <= {201, 202, 400}
    wait_for(una.ready)
    assert [one["metadata"]["name"] for one in una.kubectl.items("pods", "-n", una.namespace)] == ["server"]
    una.stop()
    una.is_clean()


def test_two_that_want_the_home_at_once_are_one_with_it_and_one_without(platform: ClusterPlatform) -> None:
    mia = platform.person("mia")
    with ThreadPoolExecutor(2) as pool:
        answers = sorted(one.status_code for one in pool.map(lambda name: mia.ask("small", name), ("one", "two")))
    assert answers[1] == 409
    assert answers[0] in (201, 202)
    (server,) = wait_for(lambda: [name for name, one in mia.servers().items() if one["ready"]])
    mia.stop(server)
    mia.is_clean()


def test_a_start_that_is_stopped_leaves_nothing(platform: ClusterPlatform) -> None:
    pia = platform.person("pia")
    for wait in ("Checking", "Waiting for a node"):
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(pia.ask, "huge")
            wait_for(lambda: pia.servers().get("", {}).get("pending") == "spawn")
            pia.is_told(wait)
            pia.stop()
            asking.result()
        pia.is_clean()
    assert {outcome for outcome, _ in pia.outcomes()} == {"cancelled"}


# --- names -----------------------------------------------------------------------------------------------------------


def test_no_name_reaches_what_is_not_its_own(platform: ClusterPlatform) -> None:
    long = "l" * (64 - len(platform.id) - 1)
    people = [platform.person(name) for name in ("kube-system", "a.b", "a-b", "a_b", "a--b", long)]
    assert len({one.namespace for one in people}) == len(people)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: one.start("scratch"), people))
    for one in people:
        namespace = one.kubectl.json("get", "namespace", one.namespace)
        assert namespace["metadata"]["name"].startswith("hub-ext-")
        assert one.pod()["status"]["phase"] == "Running"
        assert f'"{one.name}"' in one.client.get(f"/hub/api/users/{one.name}").text
    assert platform.cluster.kubectl.items("pods", "-n", "kube-system", "-l", "hub-ext/purpose=server") == []
    for one in people:
        one.stop()
        one.is_clean()


def test_a_server_may_have_as_long_a_name_as_jupyterhub_lets_it_have(eva: Person) -> None:
    name = "a" + "-bc-d" * 5 + "-end"
    eva.start("scratch", name)
    (pod,) = [one for one in eva.kubectl.items("pods", "-n", eva.namespace) if one["metadata"]["name"] != "server"]
    assert len(pod["metadata"]["labels"]["hub-ext/name"]) <= 63
    eva.stop(name)


def test_kube_system_is_a_name_like_any_other() -> None:
    assert namespace_name("kube-system") == "hub-ext-kube-system"


def test_what_a_stop_leaves_is_the_home_alone(eva: Person) -> None:
    eva.stop()
    eva.is_clean(PROMPT)
    assert eva.has("persistentvolumeclaims") == ["PersistentVolumeClaim/home"]
    assert eva.outcomes()[0] == ("stopped", f"Stopped by {eva.name}.")
