# The service in a container: docker build -t facegeom . && docker run --rm -p 127.0.0.1:8000:8000 facegeom
FROM python:3.12-slim AS build

WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE THIRD_PARTY.md ./
COPY src src
# Whoever ships the image hands these packages on (THIRD_PARTY.md). [serve] holds no GPL encoder; [video] and [live] bring x264 and x265 with
# PyAV, [heic] x265 with pillow-heif: offer their source then.
RUN python -m venv /opt/facegeom \
    && /opt/facegeom/bin/pip install --no-cache-dir ".[serve]"

FROM python:3.12-slim

COPY --from=build /opt/facegeom /opt/facegeom

# Nothing is written: the container also runs with --read-only.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["/opt/facegeom/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v1/health', timeout=4)"]
ENTRYPOINT ["/opt/facegeom/bin/facegeom", "serve", "--host", "0.0.0.0", "--port", "8000"]
