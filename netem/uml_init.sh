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
for device in lo vec0 vec1; do ip link set "$device" up; done
echo "@@calldrill ready $(uname -r)"
set +e
while IFS=' ' read -r id line; do
    eval "$line"
    echo "@@calldrill $id $?"
done
