# The image of fairlead's Helm chart: control plane and sidecar. From a checkout:
#   npm ci && npm run prepack && docker build -t fairlead/fairlead:0.1.0 .
FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM envoyproxy/envoy:distroless-v1.40.0 AS envoy

FROM node:24.21.0-bookworm-slim
# For the init container that redirects a pod's traffic.
RUN apt-get update && apt-get install -y --no-install-recommends iptables && rm -rf /var/lib/apt/lists/*
COPY --from=envoy /usr/local/bin/envoy /usr/local/bin/envoy
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
# What `npm pack` ships; test/e2e/chart.test.ts holds the two together.
COPY CHANGELOG.md LICENSE README.md package.json ./
COPY cli/bin ./cli/bin
COPY dist ./dist
COPY charts ./charts
COPY docs ./docs
ENV ENVOY_BIN=/usr/local/bin/envoy NODE_ENV=production
# The control plane's memory, as `fairlead up` sets it (cli/up/program-file.ts).
ENV MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072
USER 1337:1337
ENTRYPOINT ["node", "/app/cli/bin/fairlead.js"]
