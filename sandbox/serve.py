"""Run the sandbox: python -m sandbox.serve --port 8090 --data-dir .acuse --target http://127.0.0.1:8080"""

import logging
import signal
import threading
from pathlib import Path
from types import FrameType

import click
from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.app import create_sandbox
from sandbox.effects import EffectLog
from sandbox.keys import Keys, ensure_keys
from sandbox.runs import new_seed
from sandbox.state import new_state


class _KeepAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, required=True)
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path(".acuse"), show_default=True)
@click.option("--target", default="http://127.0.0.1:8080", show_default=True, help="Address of the receiver.")
@click.option("--api-key", "api_keys", multiple=True, metavar="PSP=KEY", help="In place of the key in keys.json.")
@click.option("--seed", type=int, default=None, help="The same seed gives the same amounts.")
def serve(host: str, port: int, data_dir: Path, target: str, api_keys: tuple[str, ...], seed: int | None) -> None:
    """Serve the simulated PSPs until SIGINT or SIGTERM."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    keys = _with_api_keys(ensure_keys(data_dir), api_keys)
    state = new_state(keys, target.rstrip("/"), new_seed() if seed is None else seed)
    state.effects = EffectLog(data_dir / "effects.jsonl")
    app = create_sandbox(state)
    server = make_server(host, port, app, threaded=True, request_handler=_KeepAlive)

    def stop(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    click.echo(f"sandbox on http://{host}:{server.port}, webhooks to {target}")
    server.serve_forever()
    server.server_close()


def _with_api_keys(keys: Keys, api_keys: tuple[str, ...]) -> Keys:
    for text in api_keys:
        psp, separator, key = text.partition("=")
        if not separator or psp not in keys:
            raise click.BadParameter(f"--api-key wants PSP=KEY with a PSP of {', '.join(keys)}")
        keys[psp]["api_key"] = key
    return keys


if __name__ == "__main__":
    serve()
