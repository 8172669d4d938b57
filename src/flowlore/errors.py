"""Every error that a user can act on.

FlowloreError
├── InputError         what was given to read cannot be read as asked
│   └── UnrecognisedInput   no source knows what this is
├── OutputError        what was asked to be written cannot be written
├── SettingError       a setting does not exist or has an impossible value
├── UnknownName        a registry holds no such name
├── QueryError         a filter or query is not valid
├── TaskError          labels or flows do not allow what was asked of them
│   └── LeakError      a split lets the test be known in training
├── BundleError        a bundle is missing, damaged, foreign, or does not fit the flows
├── MissingDependency  a package or program that the request needs is not installed
└── ModelError         a model cannot be made, loaded or used as asked
"""


class FlowloreError(Exception):
    """Base of every error a user can act on. The command line prints it without a traceback and exits with 2."""

    def __init__(self, problem: str, *, hint: str | None = None) -> None:
        super().__init__(problem if hint is None else f"{problem}\n\nhint: {hint}")
        self.problem = problem
        self.hint = hint


class InputError(FlowloreError):
    """What was given to read cannot be read as asked."""


class UnrecognisedInput(InputError):
    """No source knows what this is."""


class OutputError(FlowloreError):
    """What was asked to be written cannot be written."""


class SettingError(FlowloreError):
    """A setting does not exist or has an impossible value."""


class UnknownName(FlowloreError):
    """A registry holds no such name."""


class QueryError(FlowloreError):
    """A filter or query is not valid."""


class MissingDependency(FlowloreError):
    """A package or program that the request needs is not installed."""


class ModelError(FlowloreError):
    """A model cannot be made, loaded or used as asked."""


class TaskError(FlowloreError):
    """Labels or flows do not allow what was asked of them."""


class LeakError(TaskError):
    """A split lets the test be known in training."""


class BundleError(FlowloreError):
    """A bundle is missing, damaged, foreign, or does not fit the flows."""
