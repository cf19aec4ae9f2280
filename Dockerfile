# One image for all roles: `docker run postrider worker decide --slot 0`.
FROM python:3.11-slim AS build
WORKDIR /build
# The environment is filled from outside, so that neither pip nor setuptools comes along.
RUN python -m venv --without-pip /opt/postrider
ENV INSTALL="pip --python /opt/postrider/bin/python install --no-cache-dir"
COPY requirements/runtime.txt requirements/runtime.txt
RUN $INSTALL --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY policies policies
COPY tables tables
COPY channels channels
COPY agents agents
COPY streams streams
COPY sandbox sandbox
COPY proof proof
RUN $INSTALL --no-deps .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 postrider \
    && install -d -o postrider -g postrider /var/lib/postrider
COPY --from=build /opt/postrider /opt/postrider
COPY templates /etc/postrider/templates
COPY faust.yaml /etc/postrider/faust.yaml
ENV PATH=/opt/postrider/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    POSTRIDER_CONFIG=/etc/postrider/faust.yaml \
    POSTRIDER_DATA=/var/lib/postrider
USER 10001
WORKDIR /var/lib/postrider
VOLUME /var/lib/postrider
# A worker drains for as long as its longest provider call may take; give it 30 s to stop.
STOPSIGNAL SIGTERM
# No HEALTHCHECK: the image runs commands too, and a worker is asked for /readyz at a port of its own.
ENTRYPOINT ["postrider"]
CMD ["--help"]
