"""What becomes of a worker's places when Redis goes away between a task and its acknowledgement."""

from pathlib import Path

import pytest
from kombu import Queue
from redis.exceptions import ConnectionError as RedisGone

from embedded import start_redis
from workers.app import create_celery


def test_a_place_is_free_again_even_where_redis_cannot_be_told(tmp_path: Path) -> None:
    taken = []
    with start_redis(tmp_path / "redis") as redis:
        connection = create_celery(redis.url).connection_for_read()
        channel = connection.channel()
        queue = Queue("places", channel=channel, routing_key="places")
        queue.declare()
        channel.basic_qos(0, 1, False)
        with connection.Producer(channel) as producer:
            producer.publish({"n": 1}, routing_key="places", serializer="json")
        with connection.Consumer([queue], channel=channel, callbacks=[lambda body, message: taken.append(message)]):
            connection.drain_events(timeout=5)
        assert not channel.qos.can_consume(), "its one place is taken"
        redis.kill()
        with pytest.raises(RedisGone):
            taken[0].ack()
        assert channel.qos.can_consume()
