# One image for the server, a worker and the console. The command says which: `python -m server`,
# `python -m server.worker` or `python -m admin_ui`. docs/deployment.md tells how to build and run it.

FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY protos protos
COPY convergence convergence
COPY server server
COPY processors processors
COPY admin_ui admin_ui
COPY configs configs
COPY ps_templates ps_templates
COPY deployment/healthcheck.py deployment/healthcheck.py
# Whatever the umask of the checkout was, the image's user has to read it.
RUN chmod -R a+rX . \
    && pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
# pip compiles what it installs: nothing has to be written there later.
RUN python -m venv /opt/convergence \
    && /opt/convergence/bin/pip install --no-cache-dir "$(echo /wheels/*.whl)[server,console,tracing]" \
    && /opt/convergence/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Convergence Data Pipeline" \
      org.opencontainers.image.licenses="Apache-2.0"
# The numbers are fixed: volumes keep them, and Kubernetes takes nobody's word that a name is not root's.
RUN groupadd --gid 10001 convergence \
    && useradd --uid 10001 --gid convergence --no-create-home --home-dir /var/lib/convergence \
        --shell /usr/sbin/nologin convergence \
    && install --directory --owner=convergence --group=convergence --mode=0700 /var/lib/convergence
COPY --from=build /opt/convergence /opt/convergence
COPY --from=build /source/deployment/healthcheck.py /opt/convergence/healthcheck.py
# Outside of the package, so that folders of pipelines can be mounted beside those that come with it.
COPY --from=build /source/configs /etc/convergence/configs
COPY --from=build /source/ps_templates /etc/convergence/ps_templates
# Nothing is imported from the working folder, which is written to.
ENV PATH=/opt/convergence/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    CONVERGENCE_STATE_DIR=/var/lib/convergence \
    CONVERGENCE_CONFIGS_DIR=/etc/convergence/configs \
    CONVERGENCE_PLANS_FILE=/etc/convergence/configs/plans.yml \
    CONVERGENCE_PS_TEMPLATES_DIR=/etc/convergence/ps_templates \
    CONVERGENCE_GRPC_HOST=0.0.0.0 \
    CONVERGENCE_HTTP_HOST=0.0.0.0 \
    CONVERGENCE_WORKER_HTTP_PORT=8000 \
    CONVERGENCE_UI_HOST=0.0.0.0 \
    CONVERGENCE_UI_STATE_DIR=/var/lib/convergence/admin_ui
USER 10001:10001
WORKDIR /var/lib/convergence
VOLUME /var/lib/convergence
EXPOSE 50051 8000 8080
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "/opt/convergence/healthcheck.py"]
CMD ["python", "-m", "server"]
