FROM python:3.12-slim AS packages
COPY requirements-image.lock /
# Without pip in it: what runs installs nothing.
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements-image.lock

FROM python:3.12-slim AS application
WORKDIR /app
COPY . .
# The root is read-only when it runs, so whatever is not compiled here is compiled anew at every start.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM python:3.12-slim
LABEL org.opencontainers.image.title="acuse" \
      org.opencontainers.image.description="Receives the webhooks of payment service providers and moves every payment to its true state exactly once"
ENV PATH="/venv/bin:$PATH" \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /app acuse \
    && printf '#!/bin/sh\nexec python -m cli "$@"\n' > /usr/local/bin/acuse && chmod 755 /usr/local/bin/acuse
COPY --from=packages /venv /venv
COPY --from=application /app /app
WORKDIR /app
# A volume takes its owner and mode from here where nothing else is mounted on it, as on Fargate, which has no tmpfs for it.
VOLUME ["/tmp"]
USER 10001:10001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# For the processes that serve; the API, which listens elsewhere, sets ACUSE_HEALTH_URL=http://127.0.0.1:8081/healthz.
# release, worker and beat serve nothing: run them with --no-healthcheck (Compose: `healthcheck: {disable: true}`).
# A worker that hangs is started again by its watchdog, and shows in acuse_queue_untouched_seconds of the API's /metrics.
# hadolint ignore=DL3025
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "${ACUSE_HEALTH_URL:-http://127.0.0.1:8080/healthz}"
# The other processes are in the Procfile: give one of its lines to `sh -c` as the container's command.
CMD ["python", "-m", "ingress.serve", "--host", "0.0.0.0", "--port", "8080", "--only", "receiver"]
