#!/usr/bin/env bash
# Run each fuzz target for a while: tools/fuzz.sh PYTHON SECONDS
# Inputs found on the way stay in .fuzz/<target>/ and are where the next run begins; inputs that
# crash a target are written to .fuzz/ and the run fails.
set -euo pipefail

python="$1"
seconds="$2"
cd "$(dirname "$0")/.."
failed=()
found=0

for target in tests/fuzz/fuzz_*.py; do
    [ -e "$target" ] || continue
    found=1
    name="$(basename "$target" .py)"
    mkdir -p ".fuzz/$name"
    corpora=(".fuzz/$name")
    [ ! -d "tests/fuzz/corpus/$name" ] || corpora+=("tests/fuzz/corpus/$name")
    echo "== $name ($seconds s)"
    "$python" "$target" -max_total_time="$seconds" -artifact_prefix=".fuzz/$name-" \
        -print_final_stats=1 -verbosity=1 "${corpora[@]}" || failed+=("$name")
done

[ "$found" -eq 1 ] || { echo "fuzz: no targets under tests/fuzz" >&2; exit 1; }
[ "${#failed[@]}" -eq 0 ] || { echo "fuzz: failed: ${failed[*]}" >&2; exit 1; }
