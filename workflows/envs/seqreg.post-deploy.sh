#!/usr/bin/env bash
# Install the checkout with its exact dependencies. The workflow says by SEQREG_CHECKOUT where it is; where the workflow
# is read from an address on the net, set the variable yourself.
set -euo pipefail
checkout="${SEQREG_CHECKOUT:-.}"
if ! grep -qs '^name = "seqreg"$' "$checkout/pyproject.toml"; then
    echo "No checkout of seqreg in $checkout: set SEQREG_CHECKOUT to the path of one." >&2
    exit 1
fi
python -m pip install -c "$checkout/constraints.txt" "$checkout"
