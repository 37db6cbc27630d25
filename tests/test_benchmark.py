"""The benchmark proves that its applications are guarded, and the proof can fail."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import aims, apps, configurations, report, tokens
from benchmarks.configured import applications, row
from benchmarks.configured.world import World
from benchmarks.proof import ProofError, prove


@pytest.mark.parametrize("contestant", apps.OURS, ids=lambda item: item.name)
@pytest.mark.parametrize("algorithm", tokens.ALGORITHMS)
def test_the_proof_holds_for_authguard(contestant: apps.Contestant, algorithm: str) -> None:
    """The measured application accepts valid tokens and refuses all others with a 401."""
    answers = prove(contestant, tokens.issuer(algorithm))
    assert {case: status for case, status in answers.items() if not case.startswith("good")} == dict.fromkeys(
        ("tampered", "forged", "expired", "wrong audience", "wrong issuer", "none"), 401
    )


def test_who_lets_everybody_in_is_not_timed() -> None:
    """An application without a guard fails the proof."""
    bare = apps.Contestant("bare", "starlette", apps.starlette, lambda issuer: apps.starlette())
    with pytest.raises(ProofError, match="tampered"):
        prove(bare, tokens.issuer("HS256"))


def test_nobody_is_said_to_be_weaker_than_they_are() -> None:
    """An application that checks a case which it declares unchecked fails the proof."""
    slandered = apps.Contestant(
        "slandered", "starlette", apps.starlette, apps.OURS[0].build, unchecked=("expired",)
    )
    with pytest.raises(ProofError, match="expired"):
        prove(slandered, tokens.issuer("HS256"))


def test_a_new_page_keeps_what_other_commands_have_measured() -> None:
    """A new page keeps the figures of other commands, which take hours to measure."""
    assert report.kept_of("# Results\n\n## Rules\n\nold\n") == []
    other = f"{report.OTHERS}\n\n### One\n\nkept"
    assert report.kept_of(f"# Results\n\n## Rules\n\nold\n\n{other}\n") == [other]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the issuers, keys and stores of the configurations."""
    made = World(Path(tmp_path_factory.mktemp("world")))
    yield made
    made.close()


@pytest.mark.slow
def test_each_configuration_guards(world: World) -> None:
    """Each configuration answers 200 to a valid credential, and 401 to an invalid one and to none."""
    with asyncio.Runner() as runner:
        for each in applications.rows(world):
            row.prove(each, runner)


@pytest.mark.parametrize("face", applications.FACES)
def test_a_configuration_that_lets_everybody_in_is_not_timed(world: World, face: str) -> None:
    """The bare application of each interface fails the proof."""
    bare = next(each for each in applications.bare(world) if each.face == face)
    with asyncio.Runner() as runner, pytest.raises(ProofError, match="bad credential: 200"):
        row.prove(replace(bare, bad=list), runner)


@pytest.mark.slow
def test_the_aims_of_configurations_are_measured(world: World) -> None:
    """Each aim about a configuration names a ratio of the table, except for options that do not exist yet."""
    of_aims = {aim.key for aim in aims.AIMS if aim.key.startswith("configurations, ")}
    rows = [*applications.bare(world), *applications.rows(world)]
    times = {f"{each.face}, {each.name}": [1.0] for each in rows}
    measured = {f"configurations, {name}" for name, _ in configurations.ratios(times)}
    assert {key for key in of_aims - measured if "user_ttl" not in key and "declared" not in key} == set()
