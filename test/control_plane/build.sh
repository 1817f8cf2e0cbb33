#!/usr/bin/env bash
# Builds a Kubernetes control plane from Go modules, once, and prints the folder that holds it.
#   build.sh VERSION        e.g. 1.37.1; the folder lies in the user's cache, outside the source tree.
# Environment: GO (the go command), MUSTER_CACHE (default ~/.cache/muster), KUBEBUILDER_ASSETS (envtest's folder:
# what lies there is not built).
# Standard output is the folder's name only; progress goes to standard error.
set -euo pipefail

readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly version=${1:?usage: build.sh VERSION}
readonly go=${GO:-go}
readonly cache=${MUSTER_CACHE:-$HOME/.cache/muster}/control-plane
readonly out=$cache/$version
readonly programs=(kube-apiserver kube-scheduler kubectl kube-controller-manager)
export CGO_ENABLED=0

say() { echo "control plane: $*" >&2; }

# The committed module pins the version that the tests' own client is of. Any other version gets a module
# of its own in the cache, with the same replace lines at that version.
module_for() {
  local committed
  committed=$(awk '$1 == "k8s.io/kubernetes" {print substr($2, 2); exit}' "$here/../go.mod")
  if [[ $version == "$committed" ]]; then
    echo "$here/.."
    return
  fi
  local dir=$cache/module-$version
  mkdir -p "$dir"
  {
    echo "module muster.dev/muster/test/control_plane/other"
    echo "go $(awk '$1 == "go" {print $2}' "$here/../go.mod")"
    sed -n '/^tool (/,/^)/p' "$here/../go.mod"
    echo "require k8s.io/kubernetes v$version"
    sed -n '/^replace (/,/^)/p' "$here/../go.mod" | sed "s/ v0\.[0-9.]*$/ v0.${version#1.}/"
  } >"$dir/go.mod"
  (cd "$dir" && "$go" mod tidy >&2)
  echo "$dir"
}

build_etcd() {
  if [[ -x $cache/etcd || -x ${KUBEBUILDER_ASSETS:-/nonexistent}/etcd ]]; then return; fi
  say "building etcd"
  (cd "$here/etcd" && nice "$go" build -ldflags "-s -w" -o "$cache/etcd.partial" go.etcd.io/etcd/server/v3 >&2)
  mv "$cache/etcd.partial" "$cache/etcd"
}

build_kubernetes() {
  local missing=() program
  for program in "${programs[@]}"; do
    [[ -x $out/$program || -x ${KUBEBUILDER_ASSETS:-/nonexistent}/$program ]] || missing+=("$program")
  done
  ((${#missing[@]})) || return 0
  local module
  module=$(module_for)
  local stamp=k8s.io/component-base/version
  local flags="-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$(cut -d. -f2 <<<"$version")"
  # One after another: each is usable as soon as it is there, and a broken run resumes where it stopped.
  for program in "${missing[@]}"; do
    say "building $program $version"
    (cd "$module" && nice "$go" build -ldflags "$flags" -o "$out/$program.partial" "k8s.io/kubernetes/cmd/$program" >&2)
    mv "$out/$program.partial" "$out/$program"
  done
}

mkdir -p "$out"
exec 9>"$cache/lock"
flock 9 # two callers must not build the same thing at once
build_etcd
build_kubernetes
ln -sf ../etcd "$out/etcd"
echo "$out"
