{{/* What no schema can say: values that are missing together, or contradict each other. Each names its value. */}}
{{- define "hub-ext.checks" -}}
{{- $v := .Values -}}
{{- if contains "--" .Release.Namespace -}}
{{- fail (printf "The namespace %s: one without two hyphens in a row is needed, since labels name it." .Release.Namespace) -}}
{{- end -}}
{{- if not $v.images.hub -}}{{- fail "images.hub: name the image of Hub and sharing service (make images builds it)." -}}{{- end -}}
{{- if not $v.images.proxy -}}{{- fail "images.proxy: name the image of the proxy (make images builds it)." -}}{{- end -}}
{{- $given := or $v.database.url $v.database.hubUrl $v.database.existingSecret -}}
{{- if and $v.postgresql.trial $given -}}
{{- fail "postgresql.trial and database: say one of them; the trial's own database has its own address." -}}
{{- end -}}
{{- if not (or $v.postgresql.trial $given) -}}
{{- fail "database.url and database.hubUrl (or database.existingSecret): where is PostgreSQL? For a trial: postgresql.trial=true." -}}
{{- end -}}
{{- if and $v.database.existingSecret (or $v.database.url $v.database.hubUrl) -}}
{{- fail "database.existingSecret and database.url: say one of them." -}}
{{- end -}}
{{- if and $given (not $v.database.existingSecret) (not (and $v.database.url $v.database.hubUrl)) -}}
{{- fail "database.url and database.hubUrl: both are needed; the Hub has a database of its own." -}}
{{- end -}}
{{- if and $v.database.url (eq $v.database.url $v.database.hubUrl) -}}
{{- fail "database.hubUrl: must be another database than database.url; both keep a table of the same name." -}}
{{- end -}}
{{- range $name, $url := dict "database.url" $v.database.url "database.hubUrl" $v.database.hubUrl -}}
{{- if and $url (not (hasPrefix "postgresql" $url)) -}}
{{- fail (printf "%s: must begin with postgresql://; several pods use it, which no file can serve." $name) -}}
{{- end -}}
{{- end -}}
{{- if and $v.postgresql.trial (not $v.images.postgresql) -}}
{{- fail "images.postgresql: name the image of the trial's database (make images builds it)." -}}
{{- end -}}
{{- if and $v.results.url $v.results.existingSecret -}}{{- fail "results.url and results.existingSecret: say one of them." -}}{{- end -}}
{{- $bucket := or $v.results.existingSecret (hasPrefix "s3://" $v.results.url) -}}
{{- range $name, $value := pick $v.results "endpoint" "region" "keysSecret" -}}
{{- if and $value (not $bucket) -}}{{- fail (printf "results.%s goes with results.url=s3://bucket/prefix." $name) -}}{{- end -}}
{{- end -}}
{{- $class := ($v.hub.config.JupyterHub | default dict).authenticator_class -}}
{{- if eq $v.signIn.kind "one-password" -}}
{{- if not $v.signIn.allowOnePassword -}}
{{- fail "signIn.kind=one-password: whoever knows the password is everybody. For a trial, say signIn.allowOnePassword=true." -}}
{{- end -}}
{{- if $class -}}{{- fail "hub.config.JupyterHub.authenticator_class and signIn.kind=one-password: say one of them." -}}{{- end -}}
{{- else if eq $v.signIn.kind "provider" -}}
{{- if not $v.settings.sign_in_issuer -}}
{{- fail "settings.sign_in_issuer: which provider signs people in? For a trial: signIn.kind=one-password." -}}
{{- end -}}
{{- if not $v.settings.sign_in_client_id -}}{{- fail "settings.sign_in_client_id: the provider's name for this platform?" -}}{{- end -}}
{{- if not $v.settings.sign_in_groups -}}{{- fail "settings.sign_in_groups: which groups may sign in? ['*'] for everyone." -}}{{- end -}}
{{- if not $v.signIn.existingSecret -}}{{- fail "signIn.existingSecret: which Secret has the provider's client-secret?" -}}{{- end -}}
{{- if not $v.publicUrl -}}{{- fail "publicUrl: where does the provider send people back to?" -}}{{- end -}}
{{- if $class -}}{{- fail "hub.config.JupyterHub.authenticator_class and signIn.kind=provider: say one of them." -}}{{- end -}}
{{- else if not $class -}}
{{- fail "hub.config.JupyterHub.authenticator_class: how do people sign in? For a trial: signIn.kind=one-password." -}}
{{- else if has $class (list "dummy" "null" "jupyterhub.auth.DummyAuthenticator" "jupyterhub.authenticators.dummy.DummyAuthenticator") -}}
{{- if not $v.signIn.allowOnePassword -}}
{{- fail (printf "hub.config.JupyterHub.authenticator_class=%s lets everybody be anybody. For a trial, say signIn.allowOnePassword=true." $class) -}}
{{- end -}}
{{- end -}}
{{- if and $v.settings.sign_in_issuer (ne $v.signIn.kind "provider") -}}
{{- fail "settings.sign_in_issuer goes with signIn.kind=provider." -}}
{{- end -}}
{{- if not $v.enclave.spec.registries -}}{{- fail "enclave.spec.registries: which registries may images come from?" -}}{{- end -}}
{{- if not $v.enclave.spec.largest -}}{{- fail "enclave.spec.largest: what is the most that one container may have? {cpu: 8, memory: 32Gi}" -}}{{- end -}}
{{- if not $v.enclave.spec.domain -}}{{- fail "enclave.spec.domain: what is this network called to others?" -}}{{- end -}}
{{- if eq ($v.enclave.spec.shared_namespace | default "") .Release.Namespace -}}
{{- fail "enclave.spec.shared_namespace: must be another namespace than that of the release, whose pods it would cut off." -}}
{{- end -}}
{{- if and $v.enclave.images $v.enclave.lock -}}{{- fail "enclave.images and enclave.lock: say one of them." -}}{{- end -}}
{{- if and $v.settings.profiles_repository (or $v.enclave.images $v.enclave.lock $v.profiles.files) -}}
{{- fail "settings.profiles_repository: enclave.images, enclave.lock and profiles.files come from the repository, then." -}}
{{- end -}}
{{- if not (or $v.enclave.images $v.enclave.lock $v.settings.profiles_repository) -}}
{{- fail "enclave.images (or enclave.lock): what does notebooks/standard mean here? name → registry/name@sha256:…" -}}
{{- end -}}
{{- if and $v.enclave.images (ne (toString $v.enclave.spec.signatures) "0") -}}
{{- fail "enclave.images is unsigned: say enclave.spec.signatures=0, or give a signed enclave.lock." -}}
{{- end -}}
{{- range $name, $reference := $v.enclave.images -}}
{{- if not (regexMatch "@sha256:[0-9a-f]{64}$" $reference) -}}
{{- fail (printf "enclave.images.%s: must end in a digest (@sha256:…), not %s" $name $reference) -}}
{{- end -}}
{{- end -}}
{{- range $path, $_ := $v.profiles.files -}}
{{- if not (regexMatch "^(_policy/[a-z0-9-]+|[a-z0-9-]+/[1-9][0-9]*)\\.yaml$" $path) -}}
{{- fail (printf "profiles.files: %q is no path of a profile (geo/1.yaml) or of rules (_policy/ours.yaml)" $path) -}}
{{- end -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.host) -}}{{- fail "ingress.host: which host name?" -}}{{- end -}}
{{- if and $v.gateway.enabled (not $v.gateway.host) -}}{{- fail "gateway.host: which host name?" -}}{{- end -}}
{{- if and $v.gateway.enabled (not $v.gateway.parentRefs) -}}{{- fail "gateway.parentRefs: which Gateway?" -}}{{- end -}}
{{- if and $v.proxy.tls.secretName (hasPrefix "http://" $v.publicUrl) -}}
{{- fail "publicUrl: the proxy has TLS (proxy.tls.secretName), so it must begin with https://" -}}
{{- end -}}
{{- end }}

{{/* What only the cluster knows: a claim without a storage class would wait for ever. Asked at the first installation, by
     somebody who may look at the whole cluster; `helm template` asks nobody. */}}
{{- define "hub-ext.cluster-checks" -}}
{{- $v := .Values -}}
{{- if and .Release.IsInstall $v.rbac.create (lookup "v1" "Namespace" "" "kube-system") -}}
{{- with $v.enclave.spec.shared_namespace -}}
{{- $there := lookup "v1" "Namespace" "" . -}}
{{- $marks := ($there.metadata | default dict).labels | default dict -}}
{{- $needed := dict "hub-ext/namespace" "person" "hub-ext/shared" "true" "hub-ext/platform" $.Release.Namespace "app.kubernetes.io/managed-by" "hub-ext" "pod-security.kubernetes.io/enforce" "restricted" -}}
{{- $missing := list -}}
{{- range $label, $value := $needed -}}
{{- if ne (get $marks $label) $value -}}{{- $missing = append $missing (printf "%s=%s" $label $value) -}}{{- end -}}
{{- end -}}
{{- if not $there -}}
{{- fail (printf "enclave.spec.shared_namespace: there is no namespace %s; make it, with the labels %s." . (join " " $missing)) -}}
{{- else if $missing -}}
{{- fail (printf "enclave.spec.shared_namespace: the namespace %s lacks the labels %s." . (join " " $missing)) -}}
{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- $default := false -}}
{{- range (lookup "storage.k8s.io/v1" "StorageClass" "" "").items -}}
{{- $names = append $names .metadata.name -}}
{{- $marks := .metadata.annotations | default dict -}}
{{- if eq (get $marks "storageclass.kubernetes.io/is-default-class") "true" -}}{{- $default = true -}}{{- end -}}
{{- end -}}
{{- $has := $names | sortAlpha | join ", " | default "none at all" -}}
{{- $wanted := dict -}}
{{- if not (or $v.state.existingClaim (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "hub-ext-state")) -}}
{{- $_ := set $wanted "state.storageClass" $v.state.storageClass -}}
{{- end -}}
{{- if and $v.postgresql.trial (not (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "hub-ext-postgresql")) -}}
{{- $_ := set $wanted "postgresql.storageClass" $v.postgresql.storageClass -}}
{{- end -}}
{{- with $v.enclave.spec.storage_class -}}{{- $_ := set $wanted "enclave.spec.storage_class" . -}}{{- end -}}
{{- range $value, $class := $wanted -}}
{{- if and $class (not (has $class $names)) -}}
{{- fail (printf "%s: this cluster has no storage class %s; it has %s." $value $class $has) -}}
{{- else if not (or $class $default) -}}
{{- fail (printf "%s: this cluster has no default storage class; name one: it has %s." $value $has) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
