#!/bin/sh
# Five workers share the jobs of one queue. Each job goes to exactly one of them, to whoever asks
# first; nobody hands them out.
set -eu

workers='1 2 3 4 5'

jobs=$(ipcx msgq create)
trap 'ipcx rm --quiet --force --missing-ok "msgq/$jobs"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
results=$(ipcx msgq create)
trap 'ipcx rm --quiet --force --missing-ok "msgq/$jobs" "msgq/$results"' EXIT

# One receive for each job: `recv --follow` would take the next job while this one is worked on,
# and another worker could not have it.
worker() {
    while job=$(ipcx msgq recv "$jobs") && [ "$job" != stop ]; do
        ipcx msgq send "$results" "job $job done by worker $1: $((job * job))"
    done
}

all=
for number in $workers; do
    worker "$number" &
    all="$all $!"
done

# All jobs through one process, and after them one `stop` for each worker.
seq 20 | ipcx msgq send "$jobs" --lines
for number in $workers; do
    ipcx msgq send "$jobs" stop
done

ipcx msgq recv "$results" --count 20 | sort -k 2n
for process in $all; do
    wait "$process"
done
echo "jobs left: $(ipcx msgq recv "$jobs" --all | wc -l)"
