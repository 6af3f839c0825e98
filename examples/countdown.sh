#!/bin/sh
# A countdown that signals drive: each one carries a number, none is lost, and all arrive in order.
#
# The receiver says on standard error that it is ready. Real-time signals are queued by the kernel,
# each with its value, so the sender need not wait for answers.
set -eu

directory=$(mktemp -d)
receiver=
trap '[ -z "$receiver" ] || kill "$receiver" 2>/dev/null || :; rm -r "$directory"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Whoever reads the FIFO gets the line `ipcx: waiting as pid N`, and then the values may come.
mkfifo "$directory/ready"
ipcx signal trap RTMIN+1 --count 6 --timeout 10s --exec '
    if [ "$IPCX_VALUE" -gt 0 ]; then
        echo "$IPCX_VALUE"
    else
        echo "lift-off, says $IPCX_SIGNAL"
    fi' 2>"$directory/ready" &
receiver=$!
read -r line <"$directory/ready"
echo "ready: ${line%% as pid *}"

seq 5 -1 0 | ipcx signal send RTMIN+1 "$receiver" --lines
status=0
wait "$receiver" || status=$?
echo "the receiver has got six signals: status $status"

# Nobody is there any more, and the pid may belong to somebody else one day.
status=0
ipcx signal send RTMIN+1 "$receiver" --value 6 2>/dev/null || status=$?
receiver=
echo "a seventh finds nobody: status $status (no such process)"
