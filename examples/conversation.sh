#!/bin/sh
# Two commands in conversation: what one writes the other reads, in both directions. A pipe goes one
# way only.
#
# One thinks of a number, the other guesses it. Standard output is the line to the other one, so
# what they tell us goes to standard error, which is our standard output here.
set -eu

keeper='
    number=42
    while read -r guess; do
        if [ "$guess" -lt $number ]; then
            echo more
        elif [ "$guess" -gt $number ]; then
            echo less
        else
            echo yes
            exit 0
        fi
    done
    exit 1'

guesser='
    low=1 high=100
    while :; do
        guess=$(((low + high) / 2))
        echo $guess
        read -r answer || exit 1
        echo "is it $guess? $answer" >&2
        case $answer in
        more) low=$((guess + 1)) ;;
        less) high=$((guess - 1)) ;;
        yes) exit 0 ;;
        esac
    done'

# With --pipefail the status says whether both have done well.
ipcx sock pair --pipefail sh -c "$guesser" ::: sh -c "$keeper" 2>&1
echo 'found'
