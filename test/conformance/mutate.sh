#!/usr/bin/env bash
# Breaks one comparison in each plugin in turn (mutations.txt), in a copy of the last commit, and wants the generated
# scenarios to find it. Needs build/conformance-tool; `./dev conformance --mutations [COUNT [PLUGIN...]]` builds and runs it.
set -euo pipefail

readonly root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly count=${1:-3000}
shift || true
readonly copy=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$copy"' EXIT
git -C "$root" worktree add --detach --quiet --force "$copy" HEAD
export CCACHE_BASEDIR=$copy
cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMUSTER_BENCH=OFF >"$copy/build.log"
build() { ninja -C "$copy/build" muster >>"$copy/build.log" 2>&1 || { tail -30 "$copy/build.log"; exit 1; }; }
build

missed=0
while IFS='|' read -r plugin file old new; do
  read -r plugin <<<"$plugin"
  if [[ $plugin == \#* || -z $plugin ]] || { (($# > 0)) && [[ " $* " != *" $plugin "* ]]; }; then continue; fi
  read -r file <<<"$file"
  # Bars of the code are written \|, which read leaves as they are with -r.
  old=${old//$'\x01'/|}; old=${old# }; old=${old% }
  new=${new//$'\x01'/|}; new=${new# }; new=${new% }
  text=$(cat "$copy/$file"; echo x)
  text=${text%x}
  rest=${text#*"$old"}
  if [[ $rest == "$text" || $rest == *"$old"* ]]; then
    echo "$plugin: \"$old\" does not occur just once in $file" >&2
    exit 1
  fi
  printf '%s' "${text/"$old"/"$new"}" >"$copy/$file"
  build
  if out=$("$root/build/conformance-tool" compare --muster "$copy/build/muster" --count "$count" --seed 1 --most 1 --as-found 2>&1); then
    echo "$plugin: NOT FOUND in $count scenarios: $old -> $new"
    missed=$((missed + 1))
  else
    printf '%-32s found after %5s scenarios: %s -> %s\n' "$plugin" "$(grep -o '^[0-9]* scenarios from' <<<"$out" | grep -o '^[0-9]*')" "$old" "$new"
  fi
  printf '%s' "$text" >"$copy/$file"
done < <(sed 's/\\|/\x01/g' "$root/test/conformance/mutations.txt")
exit $((missed > 0))
