"""dj-stripe's own webhook view under gunicorn, with a Celery callback."""
