#!/usr/bin/env bash
# Starts the image as Kubernetes does, with a read-only root file system, as user 10001, and with an empty /tmp:
#   check.sh BUILDER IMAGE      BUILDER: docker, podman or buildah
# 1. The command line answers, so every module that it needs is in the image.
# 2. Nothing outside /tmp can be written, and there is no pip.
# 3. A worker starts, waits for a Kafka that is not there, and ends with 0 when it is told to stop.
set -euo pipefail
builder=$1 image=$2
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat > "$script" <<'EOF'
set -eu
[ "$(id -u)" = 10001 ]
for command in worker topics policy doctor lag dead rebuild replay; do
    netcenter "$command" --help >/dev/null
done
netcenter schemas check
if touch /opt/netcenter/written 2>/dev/null || touch /written 2>/dev/null; then
    echo "the root file system can be written" >&2
    exit 1
fi
if python -c 'import pip' 2>/dev/null; then
    echo "there is a pip" >&2
    exit 1
fi
export NETCENTER_KAFKA=127.0.0.1:1 NETCENTER_HEALTH_PORT=0
netcenter worker cases 2>/tmp/log >/tmp/log &
until grep -q "waiting for Kafka" /tmp/log; do
    sleep 0.1
    kill -0 $! || { cat /tmp/log >&2; exit 1; }
done
kill -TERM $!
wait $!
EOF
if [[ $builder != buildah ]]; then
    "$builder" run --rm --read-only --tmpfs /tmp --user 10001:10001 --entrypoint sh -i "$image" -s < "$script"
else
    # buildah mounts an image, but offers no read-only root: a mount namespace of its own does.
    container=$(buildah from "$image")
    trap 'rm -f "$script"; buildah rm "$container" >/dev/null' EXIT
    root=$(buildah mount "$container")
    unshare --mount bash -euc '
        mount --bind "$1" "$1"
        mount -o remount,ro,bind "$1"
        mount -t tmpfs -o mode=1777 tmp "$1/tmp"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        env -i PATH=/opt/netcenter/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 PYTHONUNBUFFERED=1 \
            PYTHONDONTWRITEBYTECODE=1 "$3" --userspec=10001:10001 "$1" sh -s < "$2"
    ' bash "$root" "$script" "$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)"
fi
echo "$image starts as user 10001 with a read-only root"
