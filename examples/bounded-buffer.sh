#!/bin/sh
# Two producers and two consumers share a buffer of four slots.
#
# Two counting semaphores say how many slots are free and how many are filled: a producer waits
# while none is free, a consumer while none is filled. A third one is the lock around the buffer
# and the two positions in it.
set -eu

slots=4
width=8 # bytes of a slot

free=0 filled=1 lock=2 # indexes in the set
sem=$(ipcx sem create --value $slots,0,1)
trap 'ipcx rm --quiet --force --missing-ok "sem/$sem"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The slots, and behind them the next position to put into and the next to take from.
buffer=$(ipcx shm create --size $(((slots + 2) * width)))
trap 'ipcx rm --quiet --force --missing-ok "sem/$sem" "shm/$buffer"' EXIT
put_at=$slots
take_at=$((slots + 1))

# store CELL TEXT, load CELL: a cell is as wide as a slot, filled with spaces
store() { printf "%-${width}s" "$2" | ipcx shm write "$buffer" --offset $(($1 * width)); }
load() { ipcx shm read "$buffer" --offset $(($1 * width)) --length $width | tr -d ' '; }

store $put_at 0
store $take_at 0

producer() {
    for item in "$@"; do
        ipcx sem wait "$sem" --index $free
        ipcx sem wait "$sem" --index $lock
        slot=$(load $put_at)
        store "$slot" "$item"
        store $put_at $(((slot + 1) % slots))
        echo "producer: $item into slot $slot"
        ipcx sem post "$sem" --index $lock
        ipcx sem post "$sem" --index $filled
    done
}

# consumer COUNT
consumer() {
    left=$1
    while [ "$left" -gt 0 ]; do
        ipcx sem wait "$sem" --index $filled
        ipcx sem wait "$sem" --index $lock
        slot=$(load $take_at)
        item=$(load "$slot")
        store $take_at $(((slot + 1) % slots))
        echo "consumer: $item from slot $slot"
        ipcx sem post "$sem" --index $lock
        ipcx sem post "$sem" --index $free
        left=$((left - 1))
    done
}

producer a1 a2 a3 a4 a5 a6 & all=$!
producer b1 b2 b3 b4 b5 b6 & all="$all $!"
consumer 6 & all="$all $!"
consumer 6 & all="$all $!"
for process in $all; do
    wait "$process"
done

echo "free slots: $(ipcx sem get "$sem" --index $free), filled slots: $(ipcx sem get "$sem" --index $filled)"
