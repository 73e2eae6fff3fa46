# Sourced by .ci/run: `engine_found FOLDER` finds a Docker engine, or starts one whose data lies in FOLDER, and exports
# what the others need to know of it. False where there is none to be had; $engine_lacks says why, in one clause.
# `engine_ready` makes the base of all images where it has to be made, and starts a container of it; it may run beside
# others, and says itself what is lacking. `engine_stop` ends the one that `engine_found` has started.
engine_lacks=
engine_pid=
engine_folder=
engine_makes=

engine_found() {
  if ! command -v docker >/dev/null; then
    engine_lacks="the command docker is not installed"
    return 1
  fi
  # The older builder comes with the command, the newer one is a plugin.
  docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
  docker version >/dev/null 2>&1 || engine_start "$1" || return 1
  if [[ -z ${BASE_IMAGE:-} && $(id -u) == 0 ]] && command -v debootstrap >/dev/null; then
    # From Debian's archive: the same on every machine, and no container registry has to be in reach.
    engine_makes=trainyard/base:bookworm
    export BASE_IMAGE=$engine_makes
  fi
}

engine_ready() {
  if [[ -n $engine_makes ]] && ! scripts/base-image "$engine_makes"; then
    echo "the base image could not be made"
    return 1
  fi
  if [[ -n ${BASE_IMAGE:-} ]] && ! docker run --rm --network none --memory 64m "$BASE_IMAGE" true; then
    echo "the engine starts no container"
    return 1
  fi
}

engine_start() {
  if [[ $(id -u) != 0 ]] || ! command -v dockerd >/dev/null; then
    engine_lacks="no Docker engine answers, and none can be started here (that takes root and dockerd)"
    return 1
  fi
  engine_folder=$1
  export DOCKER_HOST=unix://$1/socket
  # No bridge and no packet filter: a container gets no network or the machine's, and the machine stays as it is.
  dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" -H "$DOCKER_HOST" \
    --iptables=false --bridge=none >"$1/log" 2>&1 &
  engine_pid=$!
  for _ in {1..120}; do
    if docker version >/dev/null 2>&1; then
      # It would copy gigabytes for every layer.
      [[ $(docker info --format '{{.Driver}}') != vfs ]] && return
      engine_lacks="the engine finds no file system here that layers can share"
      return 1
    fi
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.5
  done
  engine_lacks="the engine did not start: $(tail -n 1 "$1/log")"
  return 1
}

engine_stop() {
  [[ -n $engine_pid ]] || return 0
  kill "$engine_pid" 2>/dev/null && wait "$engine_pid" || true
  # It leaves a mount behind once a container has used the machine's network.
  umount "$engine_folder"/exec/netns/* 2>/dev/null || true
}
