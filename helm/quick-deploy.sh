#!/usr/bin/env bash
# Installs or upgrades the whole stack, and removes it:
#
#   helm/quick-deploy.sh [deploy]            install or upgrade, wait until it is ready, try it (helm test)
#   helm/quick-deploy.sh cleanup [--force]   remove it; --force removes its volumes and its Secret too, unasked
#   helm/quick-deploy.sh redeploy            cleanup, then deploy
#   … --dry-run                              only print what would be done
#
# What follows `--` goes to helm: helm/quick-deploy.sh deploy -- -f helm/penstock/values-dev.yaml --set image.tag=0.1.0
#
# Environment: RELEASE (telemetry), NAMESPACE (that of the current context), TIMEOUT (10m).

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
release=${RELEASE:-telemetry}
timeout=${TIMEOUT:-10m}
scope=()
if [[ -n ${NAMESPACE:-} ]]; then scope=(--namespace "$NAMESPACE"); fi

action=deploy
dry=()
force=()
rest=()
if [[ ${1:-} == [a-z]* ]]; then
  action=$1
  shift
fi
while (($# > 0)); do
  case $1 in
    --dry-run) dry=(--dry-run) ;;
    --force) force=(--force) ;;
    -h | --help)
      sed -n '2,/^$/{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --)
      shift
      rest=("$@")
      break
      ;;
    *)
      echo "quick-deploy.sh: unknown flag $1; want --dry-run, --force, or -- before what is helm's" >&2
      exit 2
      ;;
  esac
  shift
done

run() {
  printf '+ %s\n' "$*"
  if ((${#dry[@]} == 0)); then "$@"; fi
}

deploy() {
  local create=()
  if [[ -n ${NAMESPACE:-} ]]; then create=(--create-namespace); fi
  run helm upgrade --install "$release" "$here/penstock" "${scope[@]}" "${create[@]}" --wait --timeout "$timeout" "${rest[@]}"
  run helm test "$release" "${scope[@]}" --timeout "$timeout"
}

cleanup() { RELEASE=$release bash "$here/cleanup.sh" "${force[@]}" "${dry[@]}"; }

case $action in
  deploy) deploy ;;
  cleanup) cleanup ;;
  redeploy)
    cleanup
    deploy
    ;;
  *)
    echo "quick-deploy.sh: unknown command $action; want deploy, cleanup or redeploy" >&2
    exit 2
    ;;
esac
