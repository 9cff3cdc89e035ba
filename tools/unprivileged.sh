#!/usr/bin/env bash
# Run a command without root's right to read and write everything: tools/unprivileged.sh COMMAND...
# A user who has no such right has run those tests already.
set -euo pipefail

[ "$(id -u)" -eq 0 ] || exit 0
if ! command -v setpriv >/dev/null 2>&1; then
    echo "unprivileged: skipped without setpriv (util-linux): tests of permissions" >&2
    exit 0
fi
exec setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all "$@"
