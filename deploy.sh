#!/bin/sh
# ./deploy.sh TAG makes the release TAG take over, see compose.blue-green.yaml. It ends
# with 0 when that has all the traffic, and with 1 if it failed: then the one that
# served, if any, has not noticed, and serves on. Which tag is where is kept in the
# file .env.
set -eu
cd "$(dirname "$0")"
tag=${1:?usage: ./deploy.sh TAG}
export COMPOSE_FILE="${COMPOSE_FILE:-compose.blue-green.yaml}"
compose() { docker-compose "$@"; }
if docker compose version >/dev/null 2>&1; then compose() { docker compose "$@"; }; fi
fail() { echo "deploy: $*" >&2; exit 1; }
status() { docker exec "$gate" /swapinit status --json 2>/dev/null; }
serves() { status | grep -q '"state": *"holder"'; } # there is one that does
tag_in() { sed -n "s/^$1=//p" .env 2>/dev/null || :; }
keep() { # TAG, as that of the next one
  others=$(grep -v "^$variable=" .env 2>/dev/null || :)
  printf '%s\n' "$variable=$1" "$others" >.env
}

compose up -d gate
gate=$(compose ps -q gate)
tries=60
until now=$(status); do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || fail "the gate does not answer; its log: docker logs $gate"
  sleep 1
done

# The next one is who does not hold the traffic.
holder=$(printf '%s' "$now" | sed -n 's/.*"holder": *"\([^"]*\)".*/\1/p')
next=blue variable=BLUE_TAG serving=$(tag_in GREEN_TAG)
if [ "$(compose ps -a -q blue)" = "${holder:-nobody}" ]; then
  next=green variable=GREEN_TAG serving=$(tag_in BLUE_TAG)
fi
former=$(tag_in "$variable") back=
if serves; then back=" The way back, until the next deploy: docker exec $(printf %.12s "$holder") /gate/swapinit swap"; fi

export "$variable=$tag" # .env is written when it is known how it went
compose up -d --no-deps --force-recreate "$next" || fail "$tag was not started, compose says why; .env is as it was"
id=$(compose ps -a -q "$next")
docker exec "$gate" /swapinit wait "$id" --timeout 3m --or-rollback || {
  [ $? = 1 ] || { keep "$tag"; fail "cannot tell what became of $tag: docker exec $gate /swapinit status"; }
  docker exec "$id" /gate/swapinit check >&2 2>/dev/null || : # where it still runs, it knows why
  compose stop "$next" # else it is started again and again
  serves || fail "$tag failed, and nobody serves: connections wait for the next deploy; its log: docker logs $id"
  echo "deploy: $tag failed, what served before serves on; its log: docker logs $id" >&2
  # A plain `up -d` starts what serves, then: neither the bad one nor an older one.
  [ -z "$serving" ] || keep "$serving"
  [ "${former:-$serving}" = "$serving" ] || echo "deploy: $former was the way back, and has made room for it; should you need it: ./deploy.sh $former" >&2
  exit 1
}
keep "$tag"
echo "$tag serves ($next).$back"
