#!/bin/bash
# A throw-away S3 server for tests: Ceph's radosgw with one monitor, manager and in-memory OSD, all on 127.0.0.1.
#
#   apt-get install --no-install-recommends ceph-mon ceph-osd ceph-mgr radosgw ceph-common uuid-runtime
#   eval "$(test/s3/radosgw.sh start /tmp/rgw 7480 3300)"   # a new folder with a short path (sockets lie in it), two ports
#   node --test common/dist/store/s3-store.test.js
#   test/s3/radosgw.sh stop /tmp/rgw
#
# `start` prints the environment that tests read; everything else goes to <folder>/log. `stop` ends what `start` began,
# by the process ids that it wrote down, and removes the folder.
set -euo pipefail

fail() { echo "radosgw.sh: $*" >&2; exit 1; }
usage() { fail 'usage: radosgw.sh start FOLDER [S3_PORT] [MONITOR_PORT] | stop FOLDER'; }

[ $# -ge 2 ] || usage
command=$1 folder=$2 s3_port=${3:-7480} monitor_port=${4:-3300}
access_key=varve-test secret_key=varve-test-secret bucket=varve-test

write_config() {
  cat > "$folder/ceph.conf" <<CONFIG
[global]
fsid = $(uuidgen)
mon host = [v2:127.0.0.1:$monitor_port]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
run dir = $folder
admin socket = $folder/\$name.\$pid.\$cctid.asok
crash dir = $folder
pid file =
log file = $folder/\$name.log
keyring = $folder/keyring
mon data = $folder/mon
mgr data = $folder/mgr
osd data = $folder/osd
rgw data = $folder/rgw
osd objectstore = memstore
memstore device bytes = 4294967296
# One copy on one host is enough for a test.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
auth allow insecure global id reclaim = false
[client.rgw]
# Without tcp_nodelay every small answer takes 40 ms.
rgw frontends = beast endpoint=127.0.0.1:$s3_port tcp_nodelay=1
CONFIG
}

write_keys() {
  ceph-authtool --create-keyring "$folder/keyring" --gen-key -n mon. --cap mon 'allow *'
  ceph-authtool "$folder/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  ceph-authtool "$folder/keyring" --gen-key -n mgr.x --cap mon 'allow profile mgr' --cap osd 'allow *'
  ceph-authtool "$folder/keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd'
  ceph-authtool "$folder/keyring" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx' --cap mgr 'allow rw'
}

# run NAME COMMAND…: in the background, its process id in <folder>/pids, the newest first.
run() {
  local name=$1; shift
  setsid "$@" > "$folder/$name.out" 2>&1 < /dev/null &
  { echo $!; cat "$folder/pids"; } > "$folder/pids.new" && mv "$folder/pids.new" "$folder/pids"
}

# wait_for SECONDS CONDITION
wait_for() {
  for _ in $(seq $(($1 * 5))); do
    if "$2" > /dev/null 2>&1; then return; fi
    sleep 0.2
  done
  fail "not within $1 seconds: $2"
}

monitor_answers() { timeout 5 ceph -s; }
osd_is_up() { timeout 5 ceph osd stat | grep -q '1 up'; }
s3_answers() { curl --silent --fail --max-time 5 "http://127.0.0.1:$s3_port/"; }

start_cluster() {
  monmaptool --create --addv a "[v2:127.0.0.1:$monitor_port]" --fsid "$(ceph-conf --lookup fsid)" "$folder/monmap"
  ceph-mon --mkfs -i a --monmap "$folder/monmap" --keyring "$folder/keyring"
  run mon ceph-mon -f -i a
  wait_for 30 monitor_answers
  # The monitor knows only its own and the administrator's key from birth.
  ceph auth import -i "$folder/keyring"
  run mgr ceph-mgr -f -i x
  ceph osd new "$(uuidgen | tee "$folder/osd.uuid")" 0
  ceph-osd -i 0 --mkfs --osd-uuid "$(cat "$folder/osd.uuid")"
  run osd ceph-osd -f -i 0
  wait_for 60 osd_is_up
}

start_s3() {
  run rgw radosgw -f -n client.rgw
  wait_for 60 s3_answers
  radosgw-admin -n client.rgw user create --uid=test --display-name=test \
    --access-key="$access_key" --secret-key="$secret_key"
  curl --silent --show-error --fail --max-time 30 --request PUT --user "$access_key:$secret_key" \
    --header "x-amz-content-sha256: $(printf "" | sha256sum | cut -d " " -f 1)" \
    --aws-sigv4 aws:amz:us-east-1:s3 "http://127.0.0.1:$s3_port/$bucket"
}

print_environment() {
  echo "export AWS_ACCESS_KEY_ID=$access_key AWS_SECRET_ACCESS_KEY=$secret_key"
  echo "export VARVE_TEST_S3='{\"endpoint\":\"http://127.0.0.1:$s3_port\",\"bucket\":\"$bucket\"}'"
}

start() {
  [ ! -e "$folder" ] || fail "$folder exists: give a folder that does not"
  mkdir -p "$folder"/{mon,mgr,osd,rgw}
  folder=$(realpath "$folder")
  export CEPH_CONF=$folder/ceph.conf
  : > "$folder/pids"
  write_config
  trap 'tail -n 20 "$folder/log" >&2; end_processes' EXIT
  { write_keys; start_cluster; start_s3; } > "$folder/log" 2>&1
  trap - EXIT
  print_environment
}

end_processes() {
  while read -r pid; do
    kill "$pid" 2> /dev/null || continue
    for _ in $(seq 50); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2> /dev/null || true
  done < "$folder/pids"
}

stop() {
  [ -f "$folder/pids" ] || fail "$folder holds no server"
  end_processes
  rm -rf "$folder"
}

case $command in
  start) start ;;
  stop) stop ;;
  *) usage ;;
esac
