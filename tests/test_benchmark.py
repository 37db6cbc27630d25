"""The benchmark proves that what it times does guard; its proof holds for us, and can fail."""

import pytest
from benchmarks import apps, report, tokens
from benchmarks.proof import ProofError, prove


@pytest.mark.parametrize("contestant", apps.OURS, ids=lambda one: one.name)
@pytest.mark.parametrize("algorithm", tokens.ALGORITHMS)
def test_the_proof_holds_for_authguard(contestant: apps.Contestant, algorithm: str) -> None:
    """What is timed accepts good tokens and answers 401 to all others."""
    answers = prove(contestant, tokens.issuer(algorithm))
    assert {case: status for case, status in answers.items() if not case.startswith("good")} == dict.fromkeys(
        ("tampered", "forged", "expired", "wrong audience", "wrong issuer", "none"), 401
    )


def test_who_lets_everybody_in_is_not_timed() -> None:
    """An application without a guard fails the proof, however fast it is."""
    bare = apps.Contestant("bare", "starlette", apps.starlette, lambda issuer: apps.starlette())
    with pytest.raises(ProofError, match="tampered"):
        prove(bare, tokens.issuer("HS256"))


def test_nobody_is_said_to_be_weaker_than_they_are() -> None:
    """To declare that a case is not checked, though it is, fails the proof, too."""
    slandered = apps.Contestant(
        "slandered", "starlette", apps.starlette, apps.OURS[0].build, unchecked=("expired",)
    )
    with pytest.raises(ProofError, match="expired"):
        prove(slandered, tokens.issuer("HS256"))


def test_a_new_page_keeps_what_other_commands_have_measured() -> None:
    """Their figures take hours, and `make bench` does not repeat them."""
    assert report.kept_of("# Results\n\n## Rules\n\nold\n") == []
    other = f"{report.OTHERS}\n\n### One\n\nkept"
    assert report.kept_of(f"# Results\n\n## Rules\n\nold\n\n{other}\n") == [other]
