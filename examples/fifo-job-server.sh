#!/bin/sh
# Five workers take jobs from a FIFO, one line each: `fifo recv -n 1` takes a whole line and leaves the
# rest to the others. Two clients write jobs into it at the same time, and no line is torn.
set -eu

workers='1 2 3 4 5'

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
jobs=$(ipcx mkfifo "$directory/jobs")
results=$(ipcx mkfifo "$directory/results")

# What is in a FIFO is gone when nobody has it open. The script holds both of them, so that jobs wait
# for a worker and nobody waits in open.
exec 3<>"$jobs" 4<>"$results"

worker() {
    while job=$(ipcx fifo recv "$jobs" -n 1) && [ "$job" != stop ]; do
        ipcx fifo send "$results" "job $job done by worker $1: $((job * job))"
    done
}

all=
for number in $workers; do
    worker "$number" &
    all="$all $!"
done

# Two clients at once, each with one process for all of its jobs.
seq 1 2 20 | ipcx fifo send "$jobs" &
seq 2 2 20 | ipcx fifo send "$jobs"
wait "$!"

ipcx fifo recv "$results" -n 20 | sort -k 2n
for number in $workers; do
    ipcx fifo send "$jobs" stop
done
for process in $all; do
    wait "$process"
done
echo "bytes left: $(ipcx fifo peek "$jobs" --raw | wc -c)"
