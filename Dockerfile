# cofre in a container. Two targets:
#
#   docker build -t cofre .                          the daemon, with PostgreSQL's client programs
#   docker build -t cofre:drill --target drill .     the same, with its server programs, to restore backups into
#
# docs/operation.md has `docker run` and compose examples. In short:
#
#   docker run -d --name cofre --stop-timeout 90 -p 127.0.0.1:9480:9480 \
#     -v cofre-backups:/backups -v ./config.json:/etc/cofre/config.json:ro cofre
#
# Permissions. The daemon runs as user 10001, and a volume keeps the owner it has on the host:
# - a named volume (cofre-backups above) takes its owner from the image when it is new, and works as it is;
# - a directory of the host does not: give it to that user, `sudo chown 10001:10001 /srv/backups`, or run the
#   container as the owner of the directory, `--user "$(id -u):$(id -g)"`; the archives are then theirs;
# - directories to back up are mounted read-only, and 10001 must be able to read them: add the group that can,
#   `--group-add GID`, or run as their owner. `docker run --rm … cofre check` lists everything it cannot read;
# - the config and secrets mounted as files must be readable by 10001 too.

# --- build: makes one bundle of the program and the packages it uses -----------------------------------------

FROM node:24-bookworm-slim AS build
WORKDIR /src
# What decides the dependencies comes first, so that a change of the sources does not install them again.
# tools/pinned-node is one of them: the Node.js the project is developed with.
COPY package.json package-lock.json .npmrc ./
COPY tools/pinned-node tools/pinned-node
RUN npm ci
COPY tsconfig.json ./
COPY tools/build.ts tools/licences.ts tools/
COPY src src
RUN npm run build

# --- base: what both targets share ----------------------------------------------------------------------------

FROM node:24-bookworm-slim AS base

# Earlier versions decompress a truncated zstd file without any error, and a stale image of the same tag may be
# on the building machine.
RUN node -e 'const [major, minor] = process.versions.node.split(".").map(Number); \
    if (major < 24 || (major === 24 && minor < 20)) { \
      console.error(`Node 24.20 or newer is needed, this is ${process.version}: docker build --pull`); \
      process.exit(1); \
    }'

# pg_dump refuses a server newer than itself, and what an old server should take back is best dumped by its own
# version: cofre chooses the oldest of these that is not older than the server.
ARG PG_MAJORS="14 15 16 17 18"

# The script of postgresql-common adds the repository of the PostgreSQL project, signed with a key that is in
# the package; Debian itself has one version only.
# The manual directories: slim images leave them out, and installing fails when the links to them cannot be made.
# The diversions: /usr/bin/pg_dump is Debian's wrapper, which always starts the newest version; without it on PATH
# cofre looks into the directories of the versions, where it can choose. psql stays, for people.
# flock, which holds the locks, is in util-linux.
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    mkdir -p /usr/share/man/man1 /usr/share/man/man7; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates postgresql-common tini util-linux; \
    sh /usr/share/postgresql-common/pgdg/*.sh -y; \
    apt-get install -y --no-install-recommends $(printf 'postgresql-client-%s ' $PG_MAJORS); \
    for program in pg_dump pg_dumpall pg_restore; do \
      dpkg-divert --local --rename --divert "/usr/share/postgresql-common/$program.wrapper" --add "/usr/bin/$program"; \
    done; \
    rm -rf /var/lib/apt/lists/*

# A user with a number, as only a number can be checked by `runAsNonRoot` of Kubernetes, and with a name, as
# initdb and libpq look it up.
RUN groupadd --gid 10001 cofre \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin cofre \
    && install -d -o 10001 -g 10001 -m 0700 /backups \
    && install -d -m 0755 /etc/cofre \
    && printf '#!/bin/sh\nexec node /opt/cofre/dist/main.js "$@"\n' > /usr/local/bin/cofre \
    && chmod 0755 /usr/local/bin/cofre

COPY --from=build /src/package.json /opt/cofre/package.json
COPY --from=build /src/dist /opt/cofre/dist

# `"location": "/backups"` in the config. A volume, so that backups outlive the container also when none is named.
VOLUME ["/backups"]

# Both override the config. The host: all addresses of the container, or nothing outside could reach it; what is
# published is decided by `-p`. The port: HEALTHCHECK has to know it.
ENV COFRE_CONFIG=/etc/cofre/config.json \
    COFRE_HTTP_HOST=0.0.0.0 \
    COFRE_HTTP_PORT=9480 \
    NODE_ENV=production
EXPOSE 9480

# /livez says that the process runs: all that restarting could mend. Whether backups are as they should be is
# /health, for people and alerts: a failed backup must not restart the daemon. Podman keeps this only with
# `--format docker`; Kubernetes ignores it and wants a livenessProbe.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.COFRE_HTTP_PORT}/livez`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# The daemon stops taking work, lets runs finish for a few seconds, cancels the rest and cleans up, all within 60 s:
# `--stop-timeout 90` (compose: stop_grace_period), as the default of 10 s could kill it half-way.
STOPSIGNAL SIGTERM

# tini is process 1: it collects the orphans of hooks and killed children, which Node.js would leave as zombies, and
# passes SIGTERM and SIGHUP on to the daemon alone. `--init` is not needed.
ENTRYPOINT ["tini", "--", "cofre"]
CMD ["daemon"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cofre" \
      org.opencontainers.image.description="Backup daemon for PostgreSQL databases and directories: scheduled, verified, pruned, observable." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

USER 10001:10001

# --- drill: with server programs, to restore a backup into something thrown away -----------------------------

FROM base AS drill
USER root
ARG PG_MAJORS="14 15 16 17 18"
# The package would make a cluster and keep it: none is wanted in an image. libnss-wrapper gives a name to a user that
# has none, as with `--user 1234`: initdb wants one.
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    mkdir -p /etc/postgresql-common/createcluster.d; \
    echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/cofre.conf; \
    apt-get update; \
    apt-get install -y --no-install-recommends libnss-wrapper $(printf 'postgresql-%s ' $PG_MAJORS); \
    rm -rf /var/lib/apt/lists/*
USER 10001:10001

# --- runtime: the default, as it is the last ------------------------------------------------------------------

FROM base AS runtime
