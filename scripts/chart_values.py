"""The chart's values, in one place; `chart_files.py` makes values.yaml, their schema and their reference from here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from hub_ext.settings import HubExt

Text = str
Size = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*(Mi|Gi|Ti)$")]
Port = Annotated[int, Field(ge=1, le=65535)]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^(https?://[^/\s]+/?)?$")]
Image = Annotated[str, StringConstraints(pattern=r"^([^\s@]+(@sha256:[0-9a-f]{64})?)?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Object = dict[str, Any]
Objects = list[Object]

# The chart says these itself: two answers would contradict each other.
SET_BY_THE_CHART = frozenset(
    {
        "state_dir", "database_url", "results_url", "profiles_dir", "enclave", "runtime", "kubeconfig", "environments",
        "service_kubeconfig", "pods_hub_url", "pods_service_url", "pods_executors_url", "service_name", "embedded",
        "runs_at_once",
        "results_endpoint", "results_region", "results_addressing", "results_ca_file",
    }
)  # fmt: skip
_KINDS = {"Unicode": str, "Enum": str, "Bool": bool, "Int": int, "Float": float, "Dict": Object, "List": list[Any]}


class Values(BaseModel):
    """Base: what is not named here is refused by its name."""

    model_config = ConfigDict(extra="forbid")


def _scratch(size: str) -> Any:
    """A pod that has more is replaced by the cluster, so that it fills no node's disk."""
    return Field(size, description="Most of its temporary files, on the node's disk; a pod with more is replaced.")


def _resources(cpu: str, memory: str, limit: str) -> Object:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}


class Images(Values):
    """Our images, each as registry, name and digest. `make images` builds them."""

    hub: Image = Field("", description="Hub and sharing service (`images/hub`).")
    proxy: Image = Field("", description="configurable-http-proxy (`images/proxy`).")
    postgresql: Image = Field("", description="PostgreSQL for trials (`images/postgresql`).")
    pullPolicy: Literal["IfNotPresent", "Always", "Never"] = Field("IfNotPresent", description="As in a pod.")  # noqa: N815
    pullSecrets: list[Name] = Field([], description="Names of Secrets with passwords of registries.")  # noqa: N815


class Hub(Values):
    """The Hub: one pod; its state is in the database."""

    config: dict[str, Object] = Field(
        {},
        description="JupyterHub's own settings, class → setting → value: `Authenticator: {admin_users: [ann]}`.",
    )
    env: Objects = Field([], description="Further variables, as in a container: client secrets from Secrets, say.")
    resources: Object = Field(_resources("50m", "192Mi", "1Gi"), description="As in a container.")
    scratch: Size = _scratch("256Mi")


class Service(Values):
    """The sharing service."""

    replicas: Annotated[int, Field(ge=1, le=20)] = Field(
        1, description="How many. More than one share the state volume: on one node where that is ReadWriteOnce."
    )
    env: Objects = Field([], description="Further variables, as in a container: those of a result store, say.")
    resources: Object = Field(_resources("50m", "256Mi", "2Gi"), description="As in a container.")
    scratch: Size = _scratch("4Gi")


class ProxyService(Values):
    """The Service that people come in by."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = Field("ClusterIP", description="As in a Service.")
    port: Port = Field(80, description="Its port.")
    annotations: dict[str, Text] = Field({}, description="Of the Service.")


class ProxyTls(Values):
    """TLS at the proxy itself; with Ingress or Gateway, those have it."""

    secretName: Text = Field("", description="A Secret with `tls.crt` and `tls.key`; empty: plain HTTP.")  # noqa: N815


class Proxy(Values):
    """The proxy: a pod of its own, so that routes and open connections survive a Hub that is replaced."""

    service: ProxyService = Field(default_factory=ProxyService)
    tls: ProxyTls = Field(default_factory=ProxyTls)
    resources: Object = Field(_resources("20m", "64Mi", "512Mi"), description="As in a container.")
    scratch: Size = _scratch("64Mi")


class Database(Values):
    """A PostgreSQL that is there: two databases in it. Or `postgresql.trial`."""

    url: Text = Field("", description="Ours: `postgresql://user:password@host/hub_ext`.")
    hubUrl: Text = Field("", description="The Hub's: another database, such as `…/jupyterhub`.")  # noqa: N815
    existingSecret: Text = Field(  # noqa: N815
        "", description="In place of both: a Secret with `database-url` and `hub-database-url`."
    )


class Postgresql(Values):
    """A PostgreSQL of the chart's own: for trials, one pod without a copy."""

    trial: bool = Field(False, description="Have one.")
    size: Size = Field("8Gi", description="Of its volume.")
    storageClass: Text = Field("", description="Of its volume; empty: the cluster's default.")  # noqa: N815
    resources: Object = Field(_resources("50m", "128Mi", "1Gi"), description="As in a container.")


class State(Values):
    """The state volume of the sharing service: keys, runs that go on, and results unless `results.url` is set."""

    size: Size = Field("20Gi", description="Of the volume.")
    storageClass: Text = Field("", description="Of the volume; empty: the cluster's default.")  # noqa: N815
    accessMode: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(  # noqa: N815
        "ReadWriteOnce", description="ReadWriteMany lets replicas be on several nodes."
    )
    existingClaim: Text = Field("", description="In place of a new volume, a claim that is there.")  # noqa: N815


class Results(Values):
    """Where notebooks, reports and files of runs are."""

    url: Annotated[str, StringConstraints(pattern=r"^((s3|file)://\S+)?$")] = Field(
        "", description="`s3://bucket/prefix`, or `file:///…` for a folder of a volume; empty: the state volume."
    )
    existingSecret: Text = Field("", description="In place of `url`: a Secret with `results-url`.")  # noqa: N815
    endpoint: HttpUrl = Field("", description="Address of what speaks S3; empty: that of AWS for `region`.")
    region: Text = Field("", description="Of the bucket; empty: us-east-1.")
    addressing: Literal["path", "virtual"] = Field(
        "path", description="Whether the bucket stands in the path of an address, or in its host name."
    )
    keysSecret: Text = Field(  # noqa: N815
        "",
        description="A Secret with `access-key` and `secret-key`; empty: what the cloud gives the service's account.",
    )


class SignIn(Values):
    """How people sign in."""

    kind: Literal["provider", "hub", "one-password"] = Field(
        "provider",
        description="`provider`: OpenID Connect, as `settings.sign_in_…` say. `hub`: as `hub.config` says "
        "(`JupyterHub.authenticator_class`). `one-password`: one for all names, as `make up` has it, for trials.",
    )
    existingSecret: Text = Field(  # noqa: N815
        "", description="A Secret whose `client-secret` is what the provider gave this platform."
    )
    allowOnePassword: bool = Field(  # noqa: N815
        False,
        description="Whoever knows the password is everybody: say that you mean it, else `one-password` is refused.",
    )
    password: Text = Field("", description="The one password; empty: one is made, and is in the Secret `hub-ext-keys`.")


class Enclave(Values):
    """The network that this platform is in."""

    name: Name = Field("cluster", description="Its name.")
    title: Text = Field("This cluster", description="Its title.")
    owner: Text = Field("platform-team", description="Whom to ask.")
    spec: Object = Field(
        {},
        description="As in an [enclave's file](enclave.schema.json) without `system_namespace`: registries, …",
    )
    images: dict[str, Text] = Field(
        {},
        description="Name of an image → registry, name and digest. Unsigned: it needs `signatures: 0` in `spec`.",
    )
    serial: Annotated[int, Field(ge=0)] = Field(
        0, description="Number of `images`, which grows with each change; 0: the release's revision."
    )
    lock: Text = Field("", description="In place of `images`: the text of a signed `images.lock`.")


class Profiles(Values):
    """The profiles folder."""

    shipped: bool = Field(True, description="The profiles that ship are in it.")
    files: dict[str, Text] = Field({}, description="More of its files: path (`geo/1.yaml`) → text.")


class Ingress(Values):
    """An Ingress in front of the proxy."""

    enabled: bool = Field(False, description="Have one.")
    className: Text = Field("", description="As in an Ingress.")  # noqa: N815
    host: Text = Field("", description="Host name.")
    tlsSecretName: Text = Field("", description="A Secret with its certificate.")  # noqa: N815
    annotations: dict[str, Text] = Field({}, description="Of the Ingress: no limit of bodies below 1 GB, no buffering.")


class Gateway(Values):
    """A route of the Gateway API in front of the proxy."""

    enabled: bool = Field(False, description="Have one.")
    host: Text = Field("", description="Host name.")
    parentRefs: Objects = Field([], description="As in an HTTPRoute: which Gateway.")  # noqa: N815


class ApiServer(Values):
    """Where the API server is, for the network policies of Hub and service."""

    cidr: Text = Field("", description="Its addresses; empty: any, on these ports.")
    ports: list[Port] = Field([443, 6443], description="Its ports.")


class NetworkPolicies(Values):
    """A NetworkPolicy for each part, with everything else closed."""

    enabled: bool = Field(True, description="Have them.")
    clients: Objects = Field([], description="Who reaches the proxy, as in `from`; empty: everybody.")
    egress: Objects = Field(
        [],
        description="What Hub and service reach beside the platform, as in `egress`: a database, S3, sign-in.",
    )
    apiServer: ApiServer = Field(default_factory=ApiServer)  # noqa: N815


class Switch(Values):
    """Something to have or not."""

    enabled: bool = Field(True, description="Have it.")


class Rbac(Values):
    """Accounts of Hub and service with [their rights](rights.md)."""

    create: bool = Field(True, description="Make them; else somebody has applied `hub-ext policy accounts`.")


class Disruption(Values):
    """PodDisruptionBudgets."""

    enabled: bool = Field(True, description="One for the sharing service.")
    protectSingle: bool = Field(  # noqa: N815
        False, description="Also for the parts that are one pod: a node is then drained by hand only."
    )


class Authorities(Values):
    """Certificates that Hub and service trust: where sign-in, results or profiles are behind an authority of yours."""

    configMap: Text = Field(  # noqa: N815
        "", description="A ConfigMap whose `ca.crt` holds them, in place of the system's; empty: the system's."
    )


class Secrets(Values):
    """Keys and passwords that the chart makes."""

    existing: Text = Field(
        "",
        description="In place of `hub-ext-keys`, a Secret with its entries: for tools that render without a cluster.",
    )


class Scheduling(Values):
    """Where our own pods run."""

    nodeSelector: dict[str, Text] = Field({}, description="As in a pod.")  # noqa: N815
    tolerations: Objects = Field([], description="As in a pod.")
    priorityClassName: Text = Field("", description="As in a pod.")  # noqa: N815


def _settings() -> type[Values]:
    """Return hub-ext's settings as values."""
    fields: dict[str, Any] = {}
    for name, trait in sorted(HubExt.class_traits(config=True).items()):
        if name in SET_BY_THE_CHART:
            continue
        kind: Any = _KINDS[next(one.__name__ for one in type(trait).__mro__ if one.__name__ in _KINDS)]
        if trait.metadata.get("secret"):
            continue
        if values := getattr(trait, "values", None):
            kind = Literal[tuple(values)]
        fields[name] = (kind, Field(None, description=str(trait.help), ge=getattr(trait, "min", None)))
    return create_model("Settings", __base__=Values, **fields)


Settings = _settings()
Settings.__doc__ = (
    "Settings of hub-ext: [what each is](settings.md). Those that the chart sets itself are not among them."
)


class Chart(Values):
    """Values of the chart."""

    images: Images = Field(default_factory=Images)
    publicUrl: HttpUrl = Field("", description="Address that browsers use: `https://hub.example`.")  # noqa: N815
    signIn: SignIn = Field(default_factory=SignIn)  # noqa: N815
    hub: Hub = Field(default_factory=Hub)
    service: Service = Field(default_factory=Service)
    proxy: Proxy = Field(default_factory=Proxy)
    database: Database = Field(default_factory=Database)
    postgresql: Postgresql = Field(default_factory=Postgresql)
    state: State = Field(default_factory=State)
    results: Results = Field(default_factory=Results)
    enclave: Enclave = Field(default_factory=Enclave)
    profiles: Profiles = Field(default_factory=Profiles)
    settings: Settings = Field(default_factory=Settings)  # type: ignore[valid-type]
    ingress: Ingress = Field(default_factory=Ingress)
    gateway: Gateway = Field(default_factory=Gateway)
    networkPolicies: NetworkPolicies = Field(default_factory=NetworkPolicies)  # noqa: N815
    admissionPolicy: Switch = Field(  # noqa: N815
        default_factory=Switch,
        description="The policy that ships, held by the API server as well; other rules: `hub-ext policy export`.",
    )
    authorities: Authorities = Field(default_factory=Authorities)
    rbac: Rbac = Field(default_factory=Rbac)
    disruption: Disruption = Field(default_factory=Disruption)
    prePuller: Switch = Field(  # noqa: N815
        default_factory=Switch, description="Have each node pull the images of `enclave.images` before the first start."
    )
    secrets: Secrets = Field(default_factory=Secrets)
    scheduling: Scheduling = Field(default_factory=Scheduling)
    keepData: bool = Field(  # noqa: N815
        True, description="Volumes and keys stay when the release is uninstalled; a new one of its name finds them."
    )
    global_: Object = Field({}, alias="global", description="Nothing: Helm gives it to every chart.")
