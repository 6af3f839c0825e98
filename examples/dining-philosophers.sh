#!/bin/sh
# Five philosophers, five forks, and each needs the two beside him.
#
# If everybody took the left fork first and then waited for the right one, all could wait for
# ever. `ipcx sem op` takes both in one atomic operation, or waits holding neither.
set -eu

count=5
forks=$(ipcx sem create --count $count --value 1)
trap 'ipcx rm --quiet --force --missing-ok "sem/$forks"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

philosopher() {
    left=$1
    right=$((($1 + 1) % count))
    for meal in 1 2 3; do
        # ipcx becomes the command once it has both forks. Because of --undo the kernel puts
        # them back when the command ends, however it ends.
        ipcx sem op "$forks" "$left=-1" "$right=-1" --undo -- \
            echo "philosopher $1 eats meal $meal with forks $left and $right"
    done
}

all=
for number in 0 1 2 3 4; do
    philosopher $number &
    all="$all $!"
done
for process in $all; do
    wait "$process"
done

echo 'All are fed. The forks on the table:'
ipcx sem get "$forks"
