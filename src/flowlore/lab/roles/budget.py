"""How much an activity may still do. Every loop of every role asks here before it goes on."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from ..activity import Bounds, Scene


class Budget:
    """Counts down seconds, actions and packets, and holds the packet rate.

    Packets of real programs cannot be counted before they are sent: they are estimated high from what is asked for.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bounds = bounds
        self._ramp_s = 0.0
        self._clock = clock
        self._sleep = sleep
        self._start = clock()
        self.actions = 0
        self.packets = 0

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._start + self._bounds.seconds - self._clock())

    @property
    def packets_left(self) -> int:
        return max(0, self._bounds.packets - self.packets)

    @property
    def packets_per_s(self) -> float:
        return self._bounds.packets_per_s

    @property
    def over(self) -> bool:
        return self.seconds_left <= 0 or self.actions >= self._bounds.actions or self.packets_left <= 0

    def actions_up_to(self, number: int) -> Iterator[int]:
        """0, 1, … while the bounds allow another action, `number` at most."""
        for done in range(number):
            if self.over:
                return
            self.actions += 1
            yield done

    def spend(self, packets: int = 1) -> bool:
        """Take `packets`, waiting as long as the rate asks. False, and none taken, when that is more than is left."""
        if packets > self.packets_left or self._bounds.packets_per_s <= 0:
            return False
        due = self._start + self._due_s(self.packets)
        wait = due - self._clock()
        if wait > self.seconds_left or self.seconds_left <= 0:
            return False
        if wait > 0:
            self._sleep(wait)
        self.packets += packets
        return True

    def hold_back(self, *, rate: float, time: float, ramp_s: float = 0.0) -> None:
        """Use only these shares of the packet rate and of the time; the rate is reached after `ramp_s`."""
        if not (0 < rate <= 1 and 0 < time <= 1 and ramp_s >= 0):
            raise ValueError(f"not shares: {rate}, {time}")
        bounds = self._bounds
        self._bounds = replace(bounds, seconds=bounds.seconds * time, packets_per_s=bounds.packets_per_s * rate)
        self._ramp_s = ramp_s

    def _due_s(self, packets: int) -> float:
        """When the next packet may go, after so many."""
        rate = self._bounds.packets_per_s
        on_ramp = rate * self._ramp_s / 2
        if packets < on_ramp:
            return float((2 * packets * self._ramp_s / rate) ** 0.5)
        return self._ramp_s + (packets - on_ramp) / rate if self._ramp_s else packets / rate

    def pause(self, seconds: float) -> None:
        """Do nothing for a while, never beyond the end."""
        length = min(seconds, self.seconds_left)
        if length > 0:
            self._sleep(length)


def pause_s(scene: Scene, rng: Random, mean: float) -> float:
    """A human pause round `mean` (heavy on the right), times the role's option `pause_factor`."""
    return min(rng.lognormvariate(0.0, 0.8) * mean, 20 * mean) * float(scene.options.get("pause_factor", 1.0))


def number(scene: Scene, rng: Random, name: str, low: int, high: int) -> int:
    """How many: the role's option `name`, else by chance between the two."""
    given = scene.options.get(name)
    return rng.randint(low, high) if given is None else int(given)
