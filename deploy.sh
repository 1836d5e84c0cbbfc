#!/bin/sh
# ./deploy.sh TAG makes the release TAG take over, see compose.blue-green.yaml. It ends
# with 0 when that has all the traffic, and with 1 if it failed: then the one that
# served has not noticed, and serves on. Which tag is where is kept in the file .env.
set -eu
cd "$(dirname "$0")"
tag=${1:?usage: ./deploy.sh TAG}
export COMPOSE_FILE="${COMPOSE_FILE:-compose.blue-green.yaml}"
compose() { docker-compose "$@"; }
if docker compose version >/dev/null 2>&1; then compose() { docker compose "$@"; }; fi
fail() { echo "deploy: $*" >&2; exit 1; }

compose up -d gate
gate=$(compose ps -q gate)
tries=60
until status=$(docker exec "$gate" /swapinit status --json 2>/dev/null); do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || fail "the gate does not answer; its log: docker logs $gate"
  sleep 1
done

# The next one is who does not hold the traffic.
holder=$(printf '%s' "$status" | sed -n 's/.*"holder": *"\([^"]*\)".*/\1/p')
next=blue variable=BLUE_TAG last=green
if [ "$(compose ps -a -q blue)" = "${holder:-nobody}" ]; then next=green variable=GREEN_TAG last=blue; fi

others=$(grep -v "^$variable=" .env 2>/dev/null || :)
printf '%s\n' "$variable=$tag" "$others" >.env
compose up -d --no-deps --force-recreate "$next"
id=$(compose ps -a -q "$next")
docker exec "$gate" /swapinit wait "$id" --timeout 3m --or-rollback || {
  [ $? = 1 ] || fail "cannot tell what became of $tag: docker exec $gate /swapinit status"
  compose stop "$next" # else it is started again and again
  fail "$tag failed, whatever served before serves on; its log: docker logs $id"
}
echo "$tag serves ($next). The way back, while $last is there: docker compose exec $last /gate/swapinit swap"
