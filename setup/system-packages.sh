#!/bin/sh
# Install the system packages a drill needs, if one is missing. Silent and quick when nothing is.
# `system-packages.sh test` also asks for what only the tests need.
# As root or with passwordless sudo they are installed; otherwise what is missing is named, with the command.
set -eu

need=""
want() { # want PROGRAM PACKAGE
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || need="$need $2"
}

want ip iproute2
want nft nftables
want ethtool ethtool
want conntrack conntrack
want turnserver coturn
want espeak-ng espeak-ng
want unshare util-linux
want ping iputils-ping
want linux.uml user-mode-linux
want insmod kmod
# UML of kernel 6.1 needs a small shim on CPUs with AMX; it is compiled where it is needed.
if grep -qs amx_tile /proc/cpuinfo; then
    want cc gcc
    [ -e /usr/include/sys/ptrace.h ] || [ -e "/usr/include/$(uname -m)-linux-gnu/sys/ptrace.h" ] || need="$need libc6-dev"
fi
"${PYTHON:-python3}" -c "import ensurepip, venv" >/dev/null 2>&1 || need="$need python3-venv"

if [ "${1:-}" = test ]; then
    want openssl openssl
    want chromium chromium
    want node nodejs
    want npm npm
    want redis-server redis-server
    want irtt irtt
    want stund stun-server
    want janus janus
    want socat socat
    # GStreamer's webrtcbin under the system's own Python
    gst="import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstWebRTC', '1.0')
from gi.repository import Gst, GstWebRTC
Gst.init(None)
raise SystemExit(not all(map(Gst.ElementFactory.find, ('webrtcbin', 'nicesrc', 'srtpenc', 'opusenc', 'level'))))"
    /usr/bin/python3 -c "$gst" >/dev/null 2>&1 ||
        need="$need python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-bad gstreamer1.0-plugins-good gstreamer1.0-nice"
    want tinyproxy tinyproxy
fi

[ -n "$need" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "calldrill: missing:$need. Install them with this system's package manager." >&2
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo"
else
    echo "calldrill: missing:$need. Install with: sudo apt-get install --no-install-recommends$need" >&2
    exit 0
fi
echo "calldrill: installing:$need" >&2
# A package's service is not wanted running: only the program is used.
policy=/usr/sbin/policy-rc.d
made_policy=""
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod +x "$policy" && made_policy=1
fi
trap '[ -z "$made_policy" ] || $sudo rm -f "$policy"' EXIT
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $need >/dev/null
