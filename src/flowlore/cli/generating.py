"""What `flowlore generate` refuses by its words alone: before the bundle is loaded, and before flows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import OutputError, SettingError

CAPTURES = (".pcap",)


def check_flows(
    bundle: str,
    output: str,
    *,
    count: int,
    place: str,
    against: Sequence[str],
    learnt_from: Sequence[str],
    of_rates: Mapping[str, object],
    overwrite: bool,
) -> None:
    """`of_rates` are options by name that bundles of rates have, and what was given for each."""
    from ..tasks.generation import checked_count
    from ..tasks.thin_places import checked_place

    checked_count(count)
    checked_place(place)
    _refuse(of_rates, "bundles of rates", bundle)
    if learnt_from and not against:
        raise SettingError(
            "generate: `--learnt-from` is a part of the report on how faithful flows are, which was not asked for",
            hint="add `--against LATER`: labelled flows that the generator did not see",
        )
    check_output(output, overwrite=overwrite)
    _find(against)
    _find(learnt_from)


def check_output(output: str, *, overwrite: bool) -> None:
    """A capture or a flow table can be written there."""
    from ..flows.place import FileInTheMaking, output_errors
    from ..flows.write import open_writer

    if output.endswith(".pcapng"):
        raise OutputError(f"output: `{output}` would be a pcapng file, which is not written", hint="`-o NAME.pcap`")
    if output.endswith(CAPTURES):
        with output_errors(output):
            FileInTheMaking(output, overwrite=overwrite).abort()
    else:
        open_writer(output, overwrite=overwrite, also=CAPTURES).abort()


def check_following(following: str | None, *, not_with: Mapping[str, object], only_with: Mapping[str, object]) -> None:
    """Options by name that do not go with `--follow`, and that go with nothing else, and what was given for each."""
    if following is None and (alone := [name for name, given in only_with.items() if given]):
        raise SettingError(f"generate: `{alone[0]}` is for `--follow`, which is not given", hint="leave it out")
    if following is not None and (wrong := [name for name, given in not_with.items() if given]):
        raise SettingError(
            f"generate: `{wrong[0]}` and `--follow` do not go together: rates say how many flows there are, and the "
            "report is of rates",
            hint=f"leave `{wrong[0]}` out",
        )


def check_rates(
    bundle: str,
    output: str,
    *,
    steps: int,
    after: Sequence[str],
    of_flows: Mapping[str, object],
    overwrite: bool,
) -> None:
    """`of_flows` are options by name that generators of flows have, and what was given for each."""
    import pyarrow as pa

    from ..flows.tablefile import TableFile

    if steps < 1:
        raise SettingError(f"generate: {steps} steps were asked for, but at least 1 can follow", hint="`-n 60`")
    _refuse(of_flows, "generators of flows", bundle)
    TableFile(output, pa.schema([]), overwrite=overwrite).abort()
    _find(after)


def _refuse(options: Mapping[str, object], kind: str, bundle: str) -> None:
    for name, value in options.items():
        if value:
            raise SettingError(f"generate: `{name}` is for {kind}, and `{bundle}` is none", hint=f"leave out `{name}`")


def _find(inputs: Sequence[str]) -> None:
    """What is to be read is there."""
    from ..sources.inputs import gather_inputs

    if inputs:
        gather_inputs(inputs)
