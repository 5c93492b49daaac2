# The `thrive` command: docs/nightly/docker/README.md
FROM python:3.13-slim AS build

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY openapi openapi
COPY thrive_async thrive_async
RUN python -m venv --without-pip /opt/thrive \
    && python -m pip --python /opt/thrive/bin/python install --no-cache-dir ".[cli,redis]"

FROM python:3.13-slim

COPY --from=build /opt/thrive /opt/thrive
# A number, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin thrive \
    && install -d -o 10001 -g 10001 -m 0700 /state
ENV PATH=/opt/thrive/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    THRIVE_LOCK_DIR=/state/locks
USER 10001:10001
WORKDIR /state
VOLUME /state
HEALTHCHECK --interval=1m --timeout=10s CMD ["thrive", "--version"]
ENTRYPOINT ["thrive"]
CMD ["--help"]
