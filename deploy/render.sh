#!/bin/sh
# Renders both charts into one manifest, for an installation without Helm.
# usage: deploy/render.sh > deploy/install.yaml   ($HELM names the helm binary)
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
helm=${HELM:-helm}
namespace=roadstead-system
# An invalid id: without an edit, the operator exits and reports it.
placeholder=SET-INSTALL-ID
# A valid id for the chart's own check; it appears nowhere else in the output.
standin=zz-set-install-id-zz

render() {
    # The charts' labels name Helm as the manager, which is wrong here.
    rendered=$("$helm" template roadstead "$root/charts/$1" --namespace "$namespace" --kube-version 1.33.0 \
        --set "${2:-global.unused=}")
    printf '%s\n' "$rendered" |
        sed -e '/^# Source: /d' \
            -e '/^ *helm\.sh\/chart: /d' \
            -e 's|^\( *app.kubernetes.io/managed-by:\) Helm$|\1 kubectl|' \
            -e "s|$standin|$placeholder|"
}

cat <<'HEADER'
# Roadstead without Helm: the definitions, the namespace and the operator.
# Rendered by deploy/render.sh from charts/; change those and run `make generate`.
#
# Choose an id for this installation (1 to 32 lower-case letters, digits and
# hyphens, beginning with a letter, not ending with a hyphen), store it with your
# backups, and put it in place of SET-INSTALL-ID:
#
#   sed 's/SET-INSTALL-ID/prod/' deploy/install.yaml | kubectl apply --server-side -f -
#
# The image is `roadstead` with this version as its tag: insert your registry
# before that name.
#
# Deleting this manifest deletes the definitions and with them every object, and
# the finalizers then wait for an operator that no longer exists. To stop the
# operator, delete only the Deployment `roadstead`.
HEADER
render roadstead-crds
cat <<NAMESPACE
---
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels:
    app.kubernetes.io/name: roadstead
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
    pod-security.kubernetes.io/audit: restricted
NAMESPACE
render roadstead "installId=$standin"
