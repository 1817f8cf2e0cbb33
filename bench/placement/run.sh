#!/usr/bin/env bash
# Measures placement: ./dev bench runs it. Results go to standard output.
#   run.sh                      in memory, live, and the cold start, at 5,000 nodes (some ten minutes)
#   run.sh --small              the same at 100 nodes: checks that all of it works (a minute)
#   run.sh --in-memory [flags]  only that one; --help shows its flags
#   run.sh --live [flags]
#   run.sh --live-groups [flags]           500 gangs of eight, each in one of 125 racks, live
#   run.sh --cold-start [flags]
#   run.sh --algorithm [SCALE [NAME...]]   deciding alone, in memory, beside kube-scheduler: the workloads of workload/
#   run.sh --workloads [SCALE [NAME...]]   these live. SCALE: thousandths of their sizes (default 1000)
#   run.sh --groups             what deciding about gangs costs, then gangs beside kube-scheduler's group cycle (minutes)
#   run.sh --group-day [SEEDS [HOURS]]     days of mixed gangs in simulated time, beside kube-scheduler's group cycle:
#                                          how near, how soon, how full (default 3 days of 24 hours)
#   run.sh --queues [flags]     1,000 queues with 50,000 groups pending: what the next choice costs, and placing all
#   run.sh --live-queues [flags]           the same pods live with and without 1,000 queues, in turns
#   run.sh --devices [flags]    what devices cost: filling 500 nodes, pairs on PCIe roots, the worst that can be asked,
#                                          then filling them beside kube-scheduler's algorithm (minutes)
#   run.sh --device-fragmentation [flags]  how many pods get devices by score and in first fit, 4 minutes
#   run.sh --monday [flags]                a Monday morning of 50 teams in simulated time (bench/scenario/results.md)
# Environment: MUSTER_BIN, MUSTER_CONTROL_PLANE (a folder with kube-apiserver and so on), GO (default: go).
set -euo pipefail

readonly root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export MUSTER_BIN=${MUSTER_BIN:-$root/build/release/muster}
readonly build=$(cd "$(dirname "$MUSTER_BIN")" && pwd)

in_memory() {
  echo "# in memory: muster_placement $*"
  "$build/bench/placement/muster_placement" "$@"
}

live() {
  (cd "$root/test" && "${GO:-go}" build -o "$build/placement_live" ./placement_live)
  echo "# on a real API server: placement_live $*"
  "$build/placement_live" -manifests "$root/manifests" "$@"
}

# The named workloads, or all.
workloads() {
  if (($# > 0)); then printf "$root/bench/placement/workload/%s.yaml\n" "$@"; else ls "$root"/bench/placement/workload/*.yaml; fi
}

build_algorithm() { (cd "$root/test" && "${GO:-go}" build -o "$build/placement_algorithm" ./placement_algorithm); }

algorithm() {
  local scale=${1:-1000}
  shift || true
  build_algorithm
  # shellcheck disable=SC2046
  "$build/placement_algorithm" -muster "$build/bench/placement/muster_placement" -scale "$scale" $(workloads "$@")
}

devices() {
  in_memory --devices "$@"
  build_algorithm
  echo "# beside kube-scheduler's algorithm, in memory"
  "$build/placement_algorithm" -muster "$build/bench/placement/muster_placement" -pods 5000 $(workloads devices)
}

groups() {
  in_memory --groups "$@"
  build_algorithm
  echo "# beside kube-scheduler's group cycle, in memory"
  "$build/placement_algorithm" -muster "$build/bench/placement/muster_placement" -groups
}

group_day() {
  build_algorithm
  "$build/placement_algorithm" -day "$build/bench/scenario/muster_group_day" -seeds "${1:-3}" -hours "${2:-24}"
}

live_workloads() {
  local scale=${1:-1000} file
  shift || true
  for file in $(workloads "$@"); do live -workload "$file" -scale "$scale"; done
}

case ${1:-} in
  --algorithm) shift; algorithm "$@" ;;
  --groups) shift; groups "$@" ;;
  --queues) shift; in_memory --queues "$@" ;;
  --devices) shift; devices "$@" ;;
  --device-fragmentation) shift; in_memory --device-fragmentation "$@" ;;
  --live-queues) shift; live -queues 1000 -cases limit,muster,muster-queues -repeats 3 "$@" ;;
  --monday) shift; "$build/bench/scenario/muster_monday" "$@" ;;
  --group-day) shift; group_day "$@" ;;
  --workloads) shift; live_workloads "$@" ;;
  --in-memory) shift; in_memory "$@" ;;
  --live) shift; live "$@" ;;
  --live-groups) shift; live -gangs 500 -gang-size 8 "$@" ;;
  --cold-start) live "$@" ;;
  "" | --small)
    small=() size=(--nodes 5000 --pods 10000)
    if [[ ${1:-} == --small ]]; then small=(-small) size=(--nodes 100 --pods 500); fi
    in_memory "${size[@]}" --kind repeated
    in_memory "${size[@]}" --kind distinct
    live "${small[@]}"
    live "${small[@]}" -cold-start
    ;;
  *) echo "run.sh: unknown argument $1" >&2; exit 2 ;;
esac
