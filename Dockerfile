# One image for every role. Small: neither the embedded stores (npm's optional packages) nor what only tests need.
#
# Debian 12 with Node 20, on which every test runs. uWebSockets.js needs glibc, so Alpine will not do; for Node 22 and
# later it needs glibc 2.38, so take Debian 13 then: --build-arg BASE=node:24-trixie-slim.
ARG BASE=node:20.20.2-bookworm-slim

FROM ${BASE} AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# `npm ci` refuses the lock without other systems' optional packages; this too keeps to its versions and hashes.
RUN npm install --no-save --omit=dev --omit=optional
# uWebSockets.js brings a binary (5 MB) for each system and each Node; this one loads only its own.
RUN cd node_modules/uWebSockets.js && \
    own="$(node -p '["uws", process.platform, process.arch, process.versions.modules].join("_")').node" && \
    test -f "$own" && find . -name '*.node' ! -name "$own" -delete
# Of posthog-js only the scripts that browsers are given are needed.
RUN cd node_modules/posthog-js && \
    find . -mindepth 1 -maxdepth 1 ! -name dist ! -name package.json ! -name LICENSE -exec rm -r {} + && \
    find dist \( -name '*.map' -o -name '*.d.ts' \) -delete

FROM ${BASE}
ENV NODE_ENV=production
# As `npm start`: glibc gives freed memory back to the system.
ENV MALLOC_MMAP_THRESHOLD_=8192 MALLOC_ARENA_MAX=2
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json tsconfig.json ./
COPY src src
# Where capture keeps events while Kafka is away; give it a volume.
RUN mkdir data && chown node:node data
USER node
EXPOSE 8000 8010
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.CONSOLE_PORT || 8010) + '/_health').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--import", "tsx", "src/main.ts"]
