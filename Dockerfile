# One image for every role: `docker build -t penstock .`, or `npm run image` where no registry is reached.

# Debian 13: the binary of uWebSockets.js wants its glibc.
ARG BASE=node:24-trixie-slim

# The sources, compiled: Node strips no types on its way into production.
FROM ${BASE} AS build
# Of a network that opens TLS: a file with its authority, mounted by who builds (image/build does).
ARG NODE_EXTRA_CA_CERTS
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# No scripts: the only one brings the Node that this image has already.
RUN npm ci --ignore-scripts
COPY . .
RUN node cli/build.ts

# What it needs to run, and of that only what this platform can load.
FROM ${BASE} AS modules
ARG NODE_EXTRA_CA_CERTS
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
# The faster HTTP engine. Without the flags it would bring the tools of development back.
COPY cli ./cli
RUN npm run engine -- --omit=dev --ignore-scripts
COPY image/prune.js ./
RUN node prune.js node_modules

FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Penstock" \
      org.opencontainers.image.description="A durable pipe for GPU and data-transfer telemetry: every role in one image" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# As `npm install --global` lays it out.
COPY --from=modules /src/node_modules /usr/local/lib/node_modules/penstock/node_modules
COPY --from=build /src/dist /usr/local/lib/node_modules/penstock/dist
COPY package.json LICENSE /usr/local/lib/node_modules/penstock/
COPY cli/penstock.js /usr/local/lib/node_modules/penstock/cli/penstock.js
# Any user may run it, with a read-only root: it writes to /data and /tmp alone. OpenShift's users have the group 0.
RUN chmod 0755 /usr/local/lib/node_modules/penstock/cli/penstock.js && \
    ln -s ../lib/node_modules/penstock/cli/penstock.js /usr/local/bin/penstock && \
    install -d -o 10001 -g 0 -m 0770 /data
ENV NODE_ENV=production DATA_DIR=/data HOME=/tmp
WORKDIR /usr/local/lib/node_modules/penstock
USER 10001:0
EXPOSE 8080
STOPSIGNAL SIGTERM
# Its certificate is not for this name, and it is asked for nothing but its pulse.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "-e", "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; fetch(`${process.env.TLS_CERT ? 'https' : 'http'}://127.0.0.1:${process.env.PORT || 8080}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# The role stops in order at SIGTERM, as process 1 too, and starts no others: no init is needed but for `penstock up`.
ENTRYPOINT ["node", "/usr/local/lib/node_modules/penstock/cli/penstock.js"]
CMD ["help"]
