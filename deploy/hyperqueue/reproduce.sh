#!/bin/sh
# The jobs of `gdas reproduce` on a HyperQueue cluster: deploy/hyperqueue/reproduce.sh FOLDER TABLE [PARTS]
#
# A task whose worker dies is given to another worker (--crash-limit); one that was stopped by a signal ends with code 75
# and is begun again at once, which costs nothing: what is done stays done.
set -eu
folder=${1:?usage: reproduce.sh FOLDER TABLE [PARTS]}
table=${2:?usage: reproduce.sh FOLDER TABLE [PARTS]}
parts=${3:-16}

hq submit --name gdas-reproduce --array "0-$((parts - 1))" --cpus 4 --crash-limit 20 --wait -- sh -c '
    while :; do
        code=0
        RAYON_NUM_THREADS=4 gdas reproduce "$0" --table "$1" --shard "$HQ_TASK_ID/$2" || code=$?
        [ "$code" -eq 75 ] || exit "$code"
    done' "$folder" "$table" "$parts"
gdas reproduce "$folder" --table "$table" --report-only
