#!/usr/bin/env bash
# Removes the release. What it stored stays, and the next deploy takes it up: the volumes of brokers and databases, and the
# Secret with the keys.
#
#   helm/cleanup.sh            asks, where a terminal is
#   helm/cleanup.sh --force    does not ask, and removes volumes and Secret as well: the data are gone
#   … --dry-run                only prints what would be done
#
# Environment: RELEASE (telemetry), NAMESPACE (that of the current context).

set -euo pipefail
release=${RELEASE:-telemetry}
scope=()
if [[ -n ${NAMESPACE:-} ]]; then scope=(--namespace "$NAMESPACE"); fi
force=
dry=
for flag in "$@"; do
  case $flag in
    --force) force=1 ;;
    --dry-run) dry=1 ;;
    *)
      echo "cleanup.sh: unknown flag $flag; want --force or --dry-run" >&2
      exit 2
      ;;
  esac
done

run() {
  printf '+ %s\n' "$*"
  if [[ -z $dry ]]; then "$@"; fi
}

if [[ -z $force && -z $dry && -t 0 ]]; then
  read -r -p "Remove the release $release? Its volumes and its Secret stay. [y/N] " answer
  [[ $answer == [yY]* ]] || exit 1
fi

run helm uninstall "$release" "${scope[@]}" --ignore-not-found --wait --timeout 5m
if [[ -n $force ]]; then
  run kubectl delete pvc "${scope[@]}" --selector "release=$release" --ignore-not-found
  run kubectl delete secret "${scope[@]}" --selector "release=$release,app.kubernetes.io/name=penstock" --ignore-not-found
fi
