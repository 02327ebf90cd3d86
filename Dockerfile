# kcibot as a service. State, configuration and secrets are mounted; nothing secret is in the image.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN pip install --no-cache-dir --prefix /install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY kcibot kcibot
COPY commands commands
RUN PYTHONPATH=/install/lib/python3.11/site-packages \
    pip install --no-cache-dir --prefix /install --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/kcibot kcibot
COPY --from=build /install /usr/local
USER kcibot
WORKDIR /var/lib/kcibot
VOLUME /var/lib/kcibot
# Healthy means that the bot ticks: it touches this file at every tick, and a tick is a second by default.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["kcibot", "health", "--config", "/etc/kcibot/config.yaml"]
ENTRYPOINT ["kcibot"]
CMD ["run", "--config", "/etc/kcibot/config.yaml"]
