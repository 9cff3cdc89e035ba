#!/usr/bin/env bash
# Install the Debian packages that tests use, or say what will be skipped without them.
# Never fails: a missing package costs tests, not the run.
set -euo pipefail

list="$(dirname "$0")/debian-packages.txt"

missing() {
    local package command purpose
    while read -r package command purpose; do
        case "$package" in '' | '#'*) continue ;; esac
        command -v "$command" >/dev/null 2>&1 || printf '%s\t%s\n' "$package" "$purpose"
    done <"$list"
}

wanted="$(missing)"
[ -n "$wanted" ] || exit 0
mapfile -t packages < <(cut -f1 <<<"$wanted")

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "setup_debian: installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get update -qq && apt-get install -qq --yes --no-install-recommends "${packages[@]}"
    } >/dev/null || echo "setup_debian: apt-get failed" >&2
    wanted="$(missing)"
    [ -n "$wanted" ] || exit 0
    mapfile -t packages < <(cut -f1 <<<"$wanted")
fi

echo "setup_debian: missing: ${packages[*]}" >&2
echo "setup_debian: as root: apt-get install --no-install-recommends ${packages[*]}" >&2
while IFS=$'\t' read -r package purpose; do
    echo "setup_debian: skipped without $package: $purpose" >&2
done <<<"$wanted"
