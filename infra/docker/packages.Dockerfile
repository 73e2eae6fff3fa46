# What a program needs from PyPI, as one layer over the base. It is an image of its own, which the programs' images
# start from: so they share the layer even where they are built at the same time.
#
# The default base is what a production build pulls; pin it there: BASE_IMAGE=python:3.11-slim-bookworm@sha256:….
# Where no container registry is in reach, scripts/base-image makes one: BASE_IMAGE=trainyard/base:bookworm.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS dependencies
ARG DEPENDENCIES
COPY ${DEPENDENCIES} /pex
# Compiled here, as the root is read-only later. UNUSED are paths below site-packages that no program of ours loads.
RUN PEX_ROOT=/tmp/pex PEX_TOOLS=1 python3.11 /pex venv --scope=deps --compile /app
ARG UNUSED
RUN cd /app/lib/python3.11/site-packages && rm -rf ${UNUSED} && find . -type d -name tests -prune -exec rm -rf {} +

FROM ${BASE_IMAGE} AS packages
COPY --from=dependencies /app /app
