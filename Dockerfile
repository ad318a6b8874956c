# One image for every process of an installation; the command decides which:
#   web      (default)                     worker   docker run … waybill python manage.py work
#   before each new version                         docker run … waybill python manage.py migrate
# Secrets and addresses come from the environment; .env.example explains every variable.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DATA_DIR=/data PORT=8000

RUN useradd --system --uid 10001 --create-home waybill && install -d -o waybill -g waybill /data
WORKDIR /app

COPY requirements.txt .
RUN pip install -r requirements.txt

COPY . .
# DEBUG for this one command: collecting files needs settings, and settings refuse to start without secrets.
RUN pybabel -q compile --directory locale --domain django
RUN DEBUG=true DATA_DIR=/tmp/build python manage.py collectstatic --noinput && rm -rf /tmp/build

USER waybill
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "deploy/healthcheck.py"]
CMD ["gunicorn", "-c", "deploy/gunicorn.py", "config.wsgi"]
