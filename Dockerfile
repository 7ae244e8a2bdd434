# Images that serve animations over HTTP (docs/serve.md), on Debian 12:
#   docker build -t dagan .                             the starter weights on ONNX Runtime; nothing is compiled
#   docker build -t dagan-libtorch --target libtorch .  with LibTorch and the native addon: published weights, training
ARG NODE=22

FROM node:${NODE}-bookworm-slim AS packages
WORKDIR /build
COPY . .
RUN node scripts/setup.mjs --without-libtorch
RUN mkdir /packages && for package in packages/libtorch packages/dagan packages/studio weights/starter weights/faces; do \
      (cd $package && npm pack --ignore-scripts --pack-destination /packages); \
    done

FROM node:${NODE}-bookworm-slim AS base
WORKDIR /app
# No script of a package is needed; that of ONNX Runtime's would download what CUDA needs. What it brings for Windows and
# macOS, 220 MB, goes.
RUN --mount=type=bind,from=packages,source=/packages,target=/packages \
    npm install --ignore-scripts --omit=dev --no-audit --no-fund --cache /tmp/npm /packages/*.tgz && \
    rm -rf /tmp/npm node_modules/onnxruntime-node/bin/napi-v6/win32 node_modules/onnxruntime-node/bin/napi-v6/darwin
ENV PATH=/app/node_modules/.bin:$PATH
RUN install -d -o node -g node -m 700 /var/lib/dagan
VOLUME /var/lib/dagan
EXPOSE 8348
HEALTHCHECK CMD ["node", "-e", "fetch('http://127.0.0.1:8348/v1/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["dagan", "serve", "--host", "0.0.0.0", "--folder", "/var/lib/dagan"]

FROM base AS libtorch
RUN apt-get update && apt-get install -y --no-install-recommends g++ libtorch-dev libgloo-dev libopenblas0-openmp && \
    rm -rf /var/lib/apt/lists/*
RUN dagan setup --no-install
USER node

FROM base
USER node
