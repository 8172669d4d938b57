"""Errors keep problem and hint apart, and read as one message."""

import flowlore.errors
from flowlore.errors import FlowloreError


def test_problem_and_hint_are_one_message() -> None:
    error = FlowloreError("netflow: no template", hint="wait for the next one")
    assert str(error) == "netflow: no template\n\nhint: wait for the next one"
    assert (error.problem, error.hint) == ("netflow: no template", "wait for the next one")


def test_without_a_hint_the_problem_is_the_message() -> None:
    assert str(FlowloreError("no space left")) == "no space left"


def test_every_error_is_in_the_picture_of_the_module() -> None:
    errors = [one for one in vars(flowlore.errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert len(errors) >= 7
    for error in errors:
        assert issubclass(error, FlowloreError)
        assert error.__doc__
        assert error.__name__ in (flowlore.errors.__doc__ or "")
