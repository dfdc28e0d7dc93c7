#!/bin/bash
# try.sh WEBHOOK ADMIN REVIEW: waits until a webhook is ready, then shows the curl line that posts a review to it, and
# what comes back. `make run` runs it beside the server.
set -euo pipefail
webhook=$1 admin=$2 review=$3
until curl -sf "http://$admin/readyz" >/dev/null; do
    kill -0 "$PPID" 2>/dev/null || exit 0
    sleep 0.05
done
post="curl -s --cacert certs/dev/ca.crt -H 'Content-Type: application/json' --data @$review https://$webhook/validate"
printf '\n$ %s\n' "$post"
eval "$post" | if command -v python3 >/dev/null; then python3 -m json.tool; else cat; echo; fi
printf '\nServing on https://%s; Ctrl-C stops.\n' "$webhook"
