"""What the chart makes of values: what the API server takes, what our own code says, and a no that names the value."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml

from hub_ext.catalog.loading import load
from hub_ext.catalog.policy import Enclave
from hub_ext.kubernetes import rbac, words
from hub_ext.kubernetes.admission import export
from hub_ext.kubernetes.objects import home_claim
from hub_ext.settings import HubExt, shipped
from tests.cluster import chart
from tests.kubernetes.charts import NAME, Helm, program
from tests.kubernetes.platforms import wait_for

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

DIGEST = "sha256:" + "0" * 64
NAMESPACE = "values"
VALUES: dict[str, Any] = {
    "images": {name: f"r.example/{name}@{DIGEST}" for name in ("hub", "proxy", "postgresql")},
    "postgresql": {"trial": True},
    "signIn": {"kind": "one-password", "allowOnePassword": True},
    "enclave": {
        "spec": {
            "domain": "open",
            "registries": ["r.example"],
            "largest": {"cpu": 2.5, "memory": "8Gi"},
            "signatures": 0,
        },
        "images": {"notebooks/standard": f"r.example/notebook@{DIGEST}"},
    },
}  # fmt: skip
FULL: dict[str, Any] = {
    "publicUrl": "https://hub.example",
    "signIn": {"kind": "provider", "existingSecret": "sign-in"},
    "postgresql": {"trial": False},
    "database": {"url": "postgresql://a:b@db/one", "hubUrl": "postgresql://a:b@db/two"},
    "results": {
        "url": "s3://results/hub-ext",
        "endpoint": "https://s3.example",
        "region": "eu-1",
        "addressing": "virtual",
        "keysSecret": "results",
    },
    "authorities": {"configMap": "our-authorities"},
    "service": {"replicas": 3},
    "state": {"accessMode": "ReadWriteMany", "storageClass": "shared"},
    "proxy": {"tls": {"secretName": "hub-tls"}, "service": {"type": "NodePort"}},
    "ingress": {"enabled": True, "host": "hub.example", "className": "nginx", "tlsSecretName": "t"},
    "disruption": {"protectSingle": True},
    "networkPolicies": {
        "clients": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"port": 5432, "protocol": "TCP"}]}],
        "apiServer": {"cidr": "10.0.0.1/32", "ports": [6443]},
    },
    "profiles": {"files": {"geo/1.yaml": "kind: Profile\n"}},
    "settings": {
        "banner": "OPEN",
        "approvals_required": 3,
        "budget": {"servers": 2},
        "sign_in_issuer": "https://sign-in.example",
        "sign_in_client_id": "hub-ext",
        "sign_in_groups": ["analysts"],
    },
    "scheduling": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"a": "b"},
        "tolerations": [{"operator": "Exists"}],
    },
    "keepData": False,
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return values with changes, as helm merges them."""
    found = copy.deepcopy(base)
    for key, value in changes.items():
        inner = found.get(key)
        found[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return found


@pytest.fixture(scope="module")
def helm(cluster: UsedCluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """helm."""
    return Helm(program(cluster), cluster.kubeconfig, tmp_path_factory.mktemp("helm"))


Template = Callable[..., tuple[list[dict[str, Any]], str]]


@pytest.fixture
def template(helm: Helm, tmp_path: Path) -> Template:
    """Render: `template(changes)` returns the objects, or none and what helm said."""

    def rendered(changes: dict[str, Any] | None = None, namespace: str = NAMESPACE) -> tuple[list[dict[str, Any]], str]:
        path = tmp_path / "values.yaml"
        path.write_text(json.dumps(merged(VALUES, changes or {})))
        answer = helm.run("template", NAME, str(chart.FOLDER), "--namespace", namespace, "--values", str(path))
        if answer.returncode:
            return [], answer.stderr
        return [one for one in yaml.safe_load_all(answer.stdout) if one], ""

    return rendered


def made(found: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(one for one in found if one["kind"] == kind and one["metadata"]["name"] == name)


# --- what it makes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, FULL], ids=["trial", "full"])
def test_it_is_clean(helm: Helm, changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(merged(VALUES, changes)))
    said = helm("lint", "--strict", str(chart.FOLDER), "--values", str(path))
    assert "[ERROR]" not in said
    assert "[WARNING]" not in said


@pytest.fixture(scope="module")
def namespace(cluster: UsedCluster) -> Iterator[str]:
    """A namespace for what is only tried."""
    name = f"chart-values-{uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("changes", [{}, FULL], ids=["trial", "full"])
def test_the_api_server_takes_every_object_and_knows_every_field(
    cluster: UsedCluster, template: Template, changes: dict[str, Any], namespace: str
) -> None:
    found, said = template(changes, namespace)
    assert found, said
    everything = {"apiVersion": "v1", "kind": "List", "items": found}
    tried = ("apply", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-")
    answer = cluster.kubectl(*tried, stdin=json.dumps(everything))
    assert answer.count("(server dry run)") == len(found)


@pytest.mark.parametrize("shared", [None, "analysts"])
def test_rights_and_admission_policy_are_what_our_code_says(template: Template, shared: str | None) -> None:
    found, _ = template({"enclave": {"spec": {"shared_namespace": shared}}} if shared else {})
    spec = VALUES["enclave"]["spec"] | {"system_namespace": NAMESPACE, "shared_namespace": shared}
    about = {"name": "cluster", "title": "This cluster", "owner": "platform-team"}
    content = {"apiVersion": "hub-ext/v1", "kind": "Enclave", "metadata": about, "spec": spec}
    enclave = Enclave.model_validate(content)
    expected = [*rbac.manifests(NAMESPACE, shared), *export(load(shipped("profiles")).policy, enclave)]
    expected = [one for one in expected if one["kind"] != "Namespace"]  # that of all is there before
    for one in expected:
        mine = made(found, one["kind"], one["metadata"]["name"])
        assert _comparable(mine) == _comparable(one), one["metadata"]["name"]
    kinds = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ValidatingAdmissionPolicy")
    count = Counter(one["kind"] for one in found if one["kind"] in kinds)
    assert count == Counter(one["kind"] for one in expected if one["kind"] in kinds)


def _comparable(manifest: dict[str, Any]) -> Any:
    """Return an object with the enclave's limits as an object: the order of a JSON text says nothing."""
    found = json.loads(json.dumps(manifest))
    for variable in found.get("spec", {}).get("variables", ()):
        if variable["name"] == "params":
            variable["expression"] = json.loads(variable["expression"])
    return found


def test_no_right_is_a_wildcard_and_nobody_is_cluster_admin(template: Template) -> None:
    found, _ = template()
    roles = [one for one in found if one["kind"] in ("ClusterRole", "Role")]
    assert len(roles) == 2
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
    for one in found:
        if one["kind"] == "ClusterRoleBinding":
            assert one["roleRef"]["name"].startswith("hub-ext-")


def test_every_setting_that_pods_are_told_is_one_of_ours(template: Template) -> None:
    found, _ = template(FULL)
    told = made(found, "ConfigMap", "hub-ext-settings")["data"]
    known = {f"HUB_EXT_{name.upper()}" for name in HubExt.class_traits(config=True)}
    assert set(told) <= known
    settings = HubExt.from_environment(told)
    assert (settings.banner, settings.approvals_required, settings.budget) == ("OPEN", 3, {"servers": 2})


def test_the_doctor_is_told_where_the_certificate_of_the_public_address_is(template: Template) -> None:
    def env(values: dict[str, Any] | None) -> dict[str, Any]:
        (one,) = made(template(values)[0], "Deployment", "hub-ext-service")["spec"]["template"]["spec"]["containers"]
        return {entry["name"]: entry.get("value") for entry in one["env"]}

    told = env(FULL)
    assert (told["HUB_EXT_PUBLIC_URL"], told["HUB_EXT_PROXY_TLS"]) == ("https://hub.example", "hub-ext-proxy:80")
    assert not {"HUB_EXT_PUBLIC_URL", "HUB_EXT_PROXY_TLS"} & set(env(None))


def test_profiles_may_come_from_a_repository(template: Template) -> None:
    source = {"settings": {"profiles_repository": "https://git.example/profiles"}, "enclave": {"images": None}}
    found, said = template(source)
    assert found, said
    told = made(found, "ConfigMap", "hub-ext-settings")["data"]
    assert "HUB_EXT_PROFILES_DIR" not in told
    assert HubExt.from_environment(told).profiles_repository == "https://git.example/profiles"


def test_pods_are_made_anew_when_what_they_read_at_their_start_changes(template: Template) -> None:
    def marks(**changes: Any) -> dict[str, str]:
        pod = made(template(merged(FULL, changes))[0], "Deployment", "hub-ext-service")["spec"]["template"]
        return dict(pod["metadata"]["annotations"])

    assert marks() == marks()
    assert marks() != marks(settings={"banner": "CLOSED"})
    assert marks() != marks(database={"url": "postgresql://a:c@db/one"})


def test_no_password_of_the_values_is_anywhere_but_in_secrets(template: Template) -> None:
    changes = merged(FULL, {"database": {"url": "postgresql://a:hunter2@db/one"}, "signIn": {"password": "hunter3"}})
    found, _ = template(changes)
    text = json.dumps([one for one in found if one["kind"] != "Secret"])
    assert "hunter" not in text


def test_the_service_alone_has_the_keys_of_the_bucket(template: Template) -> None:
    found, _ = template(FULL)
    having = [one["metadata"]["name"] for one in found if "AWS_SECRET_ACCESS_KEY" in json.dumps(one)]
    assert having == ["hub-ext-service"]
    told = HubExt.from_environment(made(found, "ConfigMap", "hub-ext-settings")["data"])
    assert (told.results_endpoint, told.results_region, told.results_addressing) == (
        "https://s3.example", "eu-1", "virtual",
    )  # fmt: skip


def test_hub_and_service_see_the_authorities_that_their_settings_name(template: Template) -> None:
    found, _ = template(FULL)
    told = HubExt.from_environment(made(found, "ConfigMap", "hub-ext-settings")["data"])
    where = {told.sign_in_ca_file, told.profiles_ca_file, told.results_ca_file}
    for part in ("hub", "service"):
        pod = made(found, "Deployment", f"hub-ext-{part}")["spec"]["template"]["spec"]
        (volume,) = [one for one in pod["volumes"] if one["name"] == "authorities"]
        (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "authorities"]
        assert volume["configMap"]["name"] == "our-authorities"
        assert where == {f"{mount['mountPath']}/{volume['configMap']['items'][0]['path']}"}
    assert "authorities" not in json.dumps(template()[0])


# --- what it refuses -------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("misspelt", {"servce": {"replicas": 2}}, "servce"),
    ("misspelt inside", {"service": {"replica": 2}}, "replica"),
    ("wrong type", {"service": {"replicas": "two"}}, "replicas"),
    ("too many", {"service": {"replicas": 100}}, "replicas"),
    ("a size that is none", {"state": {"size": "much"}}, "size"),
    ("a setting that is none", {"settings": {"baner": "OPEN"}}, "baner"),
    ("a setting of the chart", {"settings": {"runtime": "local"}}, "runtime"),
    ("a setting of a wrong type", {"settings": {"approvals_required": "all"}}, "approvals_required"),
    ("a limit below the least", {"settings": {"approvals_required": 0}}, "approvals_required"),
    ("an enclave's field that is none", {"enclave": {"spec": {"registry": "x"}}}, "registry"),
    ("an address that is none", {"publicUrl": "hub.example"}, "publicUrl"),
    ("a port that is none", {"proxy": {"service": {"port": 0}}}, "port"),
    ("no image", {"images": {"hub": ""}}, "images.hub"),
    ("an image with half a digest", {"images": {"hub": "r.example/hub@sha256:12"}}, "hub"),
    ("two databases", {"database": {"url": "postgresql://x/a", "hubUrl": "postgresql://x/b"}}, "postgresql.trial"),
    ("no database", {"postgresql": {"trial": False}}, "database.url"),
    ("half a database", {"postgresql": {"trial": False}, "database": {"url": "postgresql://x/a"}}, "database.hubUrl"),
    (
        "one database for both",
        {"postgresql": {"trial": False}, "database": {"url": "postgresql://x/a", "hubUrl": "postgresql://x/a"}},
        "database.hubUrl",
    ),
    (
        "a file as database",
        {"postgresql": {"trial": False}, "database": {"url": "sqlite:///x", "hubUrl": "postgresql://x/a"}},
        "database.url",
    ),
    ("one password by accident", {"signIn": {"allowOnePassword": False}}, "signIn.allowOnePassword"),
    ("no provider", {"signIn": {"kind": "provider"}}, "settings.sign_in_issuer"),
    ("a provider that nobody asks", {"settings": {"sign_in_issuer": "https://x.example"}}, "signIn.kind"),
    ("nobody signs in", {"signIn": {"kind": "hub"}}, "authenticator_class"),
    (
        "everybody is anybody",
        {
            "signIn": {"kind": "hub", "allowOnePassword": False},
            "hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}},
        },
        "authenticator_class=dummy",
    ),
    ("a store of another kind", {"results": {"url": "gs://results"}}, "url"),
    ("keys of no bucket", {"results": {"keysSecret": "results"}}, "results.keysSecret"),
    ("a bucket's address without one", {"results": {"endpoint": "https://s3.example"}}, "results.endpoint"),
    ("two addresses of a store", {"results": {"url": "s3://a", "existingSecret": "b"}}, "results.existingSecret"),
    ("no registry", {"enclave": {"spec": {"registries": []}}}, "enclave.spec.registries"),
    ("unsigned images", {"enclave": {"spec": {"signatures": 1}}}, "enclave.spec.signatures"),
    ("an image by tag", {"enclave": {"images": {"notebooks/standard": "r.example/x:1"}}}, "notebooks/standard"),
    ("two locks", {"enclave": {"lock": "kind: ImagesLock"}}, "enclave.lock"),
    ("a path that leaves", {"profiles": {"files": {"../x.yaml": "a"}}}, "profiles.files"),
    ("two sources of profiles", {"settings": {"profiles_repository": "https://git.example/p"}}, "profiles_repository"),
    ("our own namespace for everybody", {"enclave": {"spec": {"shared_namespace": NAMESPACE}}}, "shared_namespace"),
    ("an Ingress without a host", {"ingress": {"enabled": True}}, "ingress.host"),
    ("a route without a Gateway", {"gateway": {"enabled": True, "host": "hub.example"}}, "gateway.parentRefs"),
    ("TLS under http", {"publicUrl": "http://hub.example", "proxy": {"tls": {"secretName": "x"}}}, "publicUrl"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "named"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
def test_a_bad_value_is_refused_by_its_name(template: Template, changes: dict[str, Any], named: str) -> None:
    found, said = template(changes)
    assert found == []
    assert named in said


def test_a_namespace_that_labels_cannot_name_is_refused(template: Template) -> None:
    found, said = template({}, "two--hyphens")
    assert found == []
    assert "two--hyphens" in said


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"state": {"storageClass": "fast"}}, "state.storageClass: this cluster has no storage class fast"),
        ({"postgresql": {"storageClass": "fast"}}, "postgresql.storageClass: this cluster has no storage class fast"),
        ({"enclave": {"spec": {"storage_class": "fast"}}}, "enclave.spec.storage_class: this cluster has no"),
        ({"enclave": {"spec": {"shared_namespace": "none-such"}}}, "shared_namespace: there is no namespace none-such"),
        ({"enclave": {"spec": {"shared_namespace": "default"}}}, "the namespace default lacks the labels"),
    ],
)
def test_what_the_cluster_has_not_is_refused_before_anything_is_made(
    cluster: UsedCluster, helm: Helm, tmp_path: Path, namespace: str, changes: dict[str, Any], named: str
) -> None:
    path = tmp_path / "values.yaml"

    def install(values: dict[str, Any]) -> str:
        path.write_text(json.dumps(values))
        tried = ("--namespace", namespace, "--values", str(path), "--dry-run=server")
        return helm.run("install", NAME, str(chart.FOLDER), *tried).stderr

    assert install(VALUES) == ""
    assert named in install(merged(VALUES, changes))


@pytest.mark.alone  # nobody else may want a volume meanwhile
def test_a_cluster_without_a_default_storage_class_is_refused_and_told_which_there_are(
    cluster: UsedCluster, helm: Helm, tmp_path: Path, namespace: str
) -> None:
    if cluster.local is None:
        pytest.skip("the storage classes of somebody else's cluster are left alone")
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(VALUES))
    mark, usual = "storageclass.kubernetes.io/is-default-class", str(cluster.storage_class)
    tried = ("install", NAME, str(chart.FOLDER), "--namespace", namespace, "--values", str(path), "--dry-run=server")
    cluster.kubectl("annotate", "storageclass", usual, f"{mark}=false", "--overwrite")
    try:
        said = helm.run(*tried).stderr
        named = ("--set", f"state.storageClass={usual}", "--set", f"postgresql.storageClass={usual}")
        assert helm.run(*tried, *named).stderr == ""
        told = told_of_a_claim(cluster, namespace)
    finally:
        cluster.kubectl("annotate", "storageclass", usual, f"{mark}=true", "--overwrite")
    assert "storageClass: this cluster has no default storage class; name one: it has " in said
    assert usual in said
    # Somebody who waits for her home there.
    assert (
        told == "The home volume cannot be made: no storage class is set for homes, and none is the cluster's default"
    )


def told_of_a_claim(cluster: UsedCluster, namespace: str) -> str:
    """Make a home without a class; return what its person would be told of it."""
    cluster.kubectl.apply(home_claim("home", namespace, {}, "1Gi", None))

    def told() -> str:
        events = cluster.kubectl.items("events", "-n", namespace, "--field-selector=involvedObject.name=home")
        return next((said for one in events if (said := words.of_event(one))), "")

    return str(wait_for(told))


def test_a_cluster_that_is_too_old_is_refused(helm: Helm, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(VALUES))
    for version, taken in (("v1.29.15", False), ("v1.30.0", True), ("v1.30.3-gke.1", True)):
        answer = helm.run("template", NAME, str(chart.FOLDER), "--values", str(path), "--kube-version", version)
        assert (answer.returncode == 0) is taken, version
        assert ("requires kubeVersion" in answer.stderr) is not taken
