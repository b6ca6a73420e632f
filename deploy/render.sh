#!/bin/sh
# Renders both charts into one manifest, for those who install without Helm.
# usage: deploy/render.sh > deploy/install.yaml   ($HELM names the helm binary)
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
helm=${HELM:-helm}
namespace=roadstead-system
# Not a valid id: applied as it is, the operator stops and says what is wrong.
placeholder=SET-INSTALL-ID
# A valid stand-in for the chart's own check, and nothing else in the output has it.
standin=zz-set-install-id-zz

render() {
    # The charts' labels name Helm as the manager, which is not so here.
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
# hyphens, beginning with a letter, not ending with a hyphen), keep it with your
# backups, and put it in place of SET-INSTALL-ID:
#
#   sed 's/SET-INSTALL-ID/prod/' deploy/install.yaml | kubectl apply --server-side -f -
#
# The image is `roadstead` with this version as its tag: put the registry to
# which you pushed it before that name.
#
# Deleting all of this deletes the definitions and with them every object: the
# finalizers then wait for an operator that is gone. Delete the Deployment
# `roadstead` alone to stop the operator.
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
