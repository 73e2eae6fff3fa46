# Sourced by ./pants where an interpreter is missing: uv fetches it, and checks its hash.

fetch_python() { # fetch_python 3.9: below $cache/python
  local uv said place="install it (\`pyenv install $1\`, or your system's python$1 with its venv module) and call ./pants again"
  if [[ ${TRAINYARD_PYTHON:-} == system ]]; then
    echo "error: Python $1 was not found on PATH or in pyenv, and TRAINYARD_PYTHON=system forbids to fetch it; $place." >&2
    return 6
  fi
  need_cache
  if ! uv=$(command -v uv || own_uv); then
    echo "error: Python $1 was not found on PATH or in pyenv, and to fetch it neither uv nor a Python 3 that can install it from PyPI; $place." >&2
    return 6
  fi
  echo "Python $1 was not found: fetching it into $cache (once; TRAINYARD_PYTHON=system forbids it) ..." >&2
  if ! said=$(UV_PYTHON_INSTALL_DIR=$cache/python UV_PYTHON_INSTALL_BIN=0 "$uv" python install --no-config "$1" 2>&1); then
    echo "$said" >&2
    echo "error: uv could not fetch Python $1; see above. Name a mirror of its downloads in UV_PYTHON_INSTALL_MIRROR, or $place." >&2
    return 6
  fi
}

own_uv() { # the path of a uv from PyPI
  local python link # and `fresh`, which outlives the function for the trap
  link=$cache/uv-$(cksum <"$locks/uv.lock" | tr ' ' -)
  if [[ ! -x $link/bin/uv ]]; then
    fresh=$(mktemp -d "$cache/uv.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    for python in python3 python3.{8..19} python; do
      # A system's pip installs into folders of its own alone; where there is none, an environment may have one.
      if "$python" -m pip install --quiet --target "$fresh" --no-deps --require-hashes -r "$locks/uv.lock" ||
        { "$python" -m venv "$fresh" && "$fresh/bin/pip" install --quiet --no-deps --require-hashes -r "$locks/uv.lock"; }; then
        break
      fi
    done >/dev/null 2>&1
    [[ -x $fresh/bin/uv ]] || return
    rm -f "$link"
    ln -sn "$fresh" "$link" 2>/dev/null && trap - EXIT
  fi
  echo "$link/bin/uv"
}
