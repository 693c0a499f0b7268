"""What can be changed about the simulated portal while it runs, and what it remembers."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class CepSwitches:
    """Use it under the lock of the state it belongs to."""

    calls_left: int | None = None  # before the portal says that there were too many; None is no limit
    is_withheld: bool = False  # payments are identified, and their proofs are not there yet
    calls: int = 0
    sessions: dict[str, str] = field(default_factory=dict)  # cookie -> payment id

    def take_call(self) -> bool:
        """Count one call; False once there were too many."""
        self.calls += 1
        if self.calls_left is None:
            return True
        self.calls_left -= 1
        return self.calls_left >= 0
