#!/bin/sh
# Requests and replies over one message queue.
#
# The type of a message says where it goes: the server takes type 1, the client takes type 2.
# So one queue is enough, and nobody takes what he sent himself.
set -eu

request=1
reply=2

queue=$(ipcx msgq create)
trap 'ipcx rm --quiet --force --missing-ok "msgq/$queue"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Squares numbers until it is told to stop.
server() {
    while number=$(ipcx msgq recv "$queue" --type $request) && [ "$number" != stop ]; do
        ipcx msgq send "$queue" --type $reply "$((number * number))"
    done
}

ask() {
    ipcx msgq send "$queue" --type $request "$1"
    # This waits. A client that cannot wait for ever adds --timeout and gets status 124.
    answer=$(ipcx msgq recv "$queue" --type $reply)
    echo "client: the square of $1 is $answer"
}

server &
ask 3
ask 12
ask 111

ipcx msgq send "$queue" --type $request stop
wait $!
echo 'server: stopped'
