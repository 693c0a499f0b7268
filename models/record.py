"""Small immutable values of which a batch makes thousands."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A dataclass that is frozen to whoever checks types, and to nobody else: at run time a frozen one takes six times as
    long to make."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
