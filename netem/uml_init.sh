#!/bin/sh
# The first process of the user-mode Linux router: load netem, then run what the lab says, line by line.
#
# The root file system is the host's, read-only. CALLDRILL_MOUNT is a copy of `mount` without its setuid bit:
# in a cage without root the real one's owner is "nobody", and setuid would make the guest's root that.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
"$CALLDRILL_MOUNT" -t proc proc /proc
"$CALLDRILL_MOUNT" -t sysfs sysfs /sys
# printf and the answers must come back as written, and nothing is echoed.
stty -echo -onlcr 2>/dev/null || true
insmod "$CALLDRILL_NETEM"
# A device opens its tap when it is set up; only after that may the lab move the tap away.
for device in lo $(echo "$CALLDRILL_DEVICES" | tr , ' '); do ip link set "$device" up; done

# Starting a program takes this kernel some 60 ms, too long for a change whose moment matters. So one tc waits
# for lines in batch mode, and `batch` speaks to it with what the shell has built in: about 3 ms a line.
# tc says nothing about a line that went well; the one it cannot know is answered when all before it are done.
"$CALLDRILL_MOUNT" -t tmpfs tmpfs /tmp
mkfifo /tmp/lines /tmp/answers
exec 8<>/tmp/answers 9<>/tmp/lines
tc -force -batch - <&9 >&8 2>&8 &
batch() {
    failed=0
    for line; do echo "$line" >&9; done
    echo "cd-mark" >&9
    while IFS= read -r answer <&8; do
        case $answer in
        *cd-mark*) IFS= read -r answer <&8; return $failed ;;  # then it adds "Command failed"
        *) echo "$answer"; failed=1 ;;
        esac
    done
    return 1
}
echo "@@calldrill ready $(uname -r)"
set +e
while IFS=' ' read -r id line; do
    [ -n "$id" ] || continue  # see netem/console.py
    eval "$line"
    echo "@@calldrill $id $?"
done
