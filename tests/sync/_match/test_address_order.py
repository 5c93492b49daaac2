"""New addresses go out in an order that a server accepts on which each address is one user's."""

from hypothesis import given
from hypothesis import strategies as st

from thrive_async.sync._match.address_order import AddressChange, ordered


def planned(**wanted: tuple[str, str]) -> tuple[list[AddressChange], dict[str, str]]:
    changes = [AddressChange(ref, old, new) for ref, (old, new) in wanted.items()]
    return changes, {change.old.lower(): change.ref for change in changes if change.old}


def test_free_addresses_go_out_together() -> None:
    order = ordered(*planned(a=("a@x", "a@y"), b=("b@x", "b@y")))
    assert (order.waves, order.held) == ((("a", "b"),), {})


def test_a_chain_goes_through_the_free_address() -> None:
    order = ordered(*planned(a=("1@x", "2@x"), b=("2@x", "3@x"), c=("3@x", "free@x")))
    assert order.waves == (("c",), ("b",), ("a",))


def test_a_swap_has_no_order_and_is_held() -> None:
    order = ordered(*planned(a=("1@x", "2@x"), b=("2@x", "1@x"), c=("3@x", "1@x"), d=("4@x", "free@x")))
    assert order.waves == (("d",),)
    assert order.held.keys() == {"a", "b", "c"}


def test_a_circle_of_three_and_who_waits_for_it_are_held() -> None:
    order = ordered(*planned(a=("1@x", "2@x"), b=("2@x", "3@x"), c=("3@x", "1@x")))
    assert order.waves == ()
    assert "a, b, c" in order.held["a"]


def test_an_address_that_somebody_keeps_is_held() -> None:
    changes, owners = planned(a=("1@x", "KEPT@x"), b=("2@x", "1@x"))
    order = ordered(changes, {**owners, "kept@x": "k"})
    assert order.held == {
        "a": "this e-mail address belongs to k, who keeps it",
        "b": "this e-mail address belongs to a, and that user's own change is held",
    }


def test_two_rows_that_want_one_address_are_held() -> None:
    order = ordered(*planned(a=("1@x", "New@x"), b=("2@x", "new@x")))
    assert order.held.keys() == {"a", "b"}


def test_another_case_of_the_own_address_waits_for_nobody() -> None:
    assert ordered(*planned(a=("ada@x", "Ada@x"))).waves == (("a",),)


def test_an_address_may_be_cleared() -> None:
    changes = [AddressChange("a", "1@x", None), AddressChange("b", None, "1@x")]
    assert ordered(changes, {"1@x": "a"}).waves == (("a",), ("b",))


@given(st.lists(st.integers(0, 11), min_size=12, max_size=12), st.sets(st.integers(0, 11), min_size=1, max_size=9))
def test_no_step_of_any_order_is_refused(wanted: list[int], users: set[int]) -> None:
    """A model of the server: each address has one owner at any time."""
    has = {f"u{at}": f"{at}@x" for at in range(10)}
    changes = [AddressChange(f"u{at}", has[f"u{at}"], f"{wanted[at]}@x") for at in sorted(users) if at < 10]
    order = ordered(changes, {address: ref for ref, address in has.items()})
    new = {change.ref: change.new for change in changes}
    for wave in order.waves:
        for ref in wave:
            address = new[ref]
            assert address is not None
            assert address not in has.values() or has[ref] == address
            has[ref] = address
    assert {ref for wave in order.waves for ref in wave} | set(order.held) == set(new)
    for ref in order.held:
        # What is held could not have been done: somebody still has the address, or another row wants it too.
        assert new[ref] in [*has.values(), *(new[other] for other in order.held if other != ref)]
