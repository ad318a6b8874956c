# One image for all processes of an installation; the command selects the process:
#   web      (default)                     worker   docker run … waybill python manage.py work
#   before each new version                docker run … waybill python manage.py migrate
# Configuration comes from the environment; .env.example lists every variable.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DATA_DIR=/data PORT=8000

RUN useradd --system --uid 10001 --create-home waybill && install -d -o waybill -g waybill /data
WORKDIR /app

COPY requirements.txt .
RUN pip install -r requirements.txt

COPY . .
# DEBUG only for this command: settings require secrets, which the image must not contain.
RUN pybabel -q compile --directory locale --domain django
RUN DEBUG=true DATA_DIR=/tmp/build python manage.py collectstatic --noinput && rm -rf /tmp/build

USER waybill
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "deploy/healthcheck.py"]
CMD ["gunicorn", "-c", "deploy/gunicorn.py", "config.wsgi"]
