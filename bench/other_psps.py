"""How fast deliveries of each PSP are acknowledged: an RSA signature costs more than an HMAC."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from bench.deliveries import write_files
from bench.load import THREADS, Target, replay
from bench.peers.contenders import Contender
from bench.stage import Stage
from bench.turns import Figures, check_fair
from sandbox.flows import SIMULATORS, play_flow
from sandbox.identity import Identity
from sandbox.keys import ENVIRONMENTS, Keys, ensure_keys

AHEAD_PER_SECOND = 7_000  # none is sent twice below this rate
SEED = 7


def measure_psps(stage: Stage, acuse: Contender, seconds: float) -> Iterator[tuple[str, Figures]]:
    """(PSP, acknowledgements at full speed), one PSP after the other, on one receiver that serves them all."""
    keys = ensure_keys(stage.folder / "keys")
    with stage.turn(replace(acuse, environment=lambda place: acuse.environment(place) | _environment(keys))) as turn:
        turn.start_receiver()
        for psp in SIMULATORS:
            _write(psp, keys[psp], int(AHEAD_PER_SECOND * (seconds + 1)), stage.folder)
            before = turn.stored()
            target = Target(turn.place.port, "", "", stage.folder, stage.wrk)
            load = replay(target, seconds)
            check_fair(turn, load, turn.stored() - before)
            yield psp, {"acknowledged per s": load.per_second, "p50 ms": load.p50_ms, "p99 ms": load.p99_ms}


def _environment(keys: Keys) -> dict[str, str]:
    told = {
        f"ACUSE_{psp.upper()}_{name}": value
        for psp, make in ENVIRONMENTS.items()
        for name, value in make(keys[psp]).items()
    }
    return told | {"ACUSE_PSPS": ",".join(ENVIRONMENTS)}


def _write(psp: str, keys: Mapping[str, str], count: int, folder: Path) -> None:
    """At least so many signed deliveries of whole life cycles, as the PSP would send them."""
    simulator, now = SIMULATORS[psp], int(time.time())
    flows, names = cycle(simulator.flows), Identity(SEED, now)

    def sign() -> Iterator[tuple[str, dict[str, str], bytes]]:
        written = 0
        while written < count:
            for webhook in play_flow(next(flows), names, now, psp).webhooks:
                body = simulator.seal(webhook.body, keys, now)
                query = f"?{webhook.query}" if webhook.query else ""
                yield f"/webhooks/{psp}{query}", simulator.sign(body, keys, now), body
                written += 1

    write_files(folder, THREADS, sign())
