"""Every error of the patterns names the object, the rule that was broken, and the remedy."""

import pickle
from contextlib import suppress

import mistakes_of_owners  # noqa: F401  they are entered into the table
import pytest
from mistakes import CASES

import psk
from psk.errors import PskError
from psk_patterns import errors, future, owned_proxy, release, withdraw
from psk_patterns.deferred_cleanup import flush

PUBLIC = {each for each in vars(errors).values() if getattr(each, "__module__", "") == errors.__name__}


@pytest.fixture
def promised(store):
    made = future(store, ttl=0.3)
    yield made
    made.release()


@pytest.fixture
def owner(store):
    made = owned_proxy(store, [1, 2, 3], ttl=5.0)
    yield made
    with suppress(errors.ReferenceInvalidError):
        withdraw(made)
        release(made)


@pytest.fixture
def store(tmp_path):
    with psk.Store("errors", f"file://{tmp_path}/objects", register=True) as opened:
        yield opened
    assert flush()
    with psk.Store("left", f"file://{tmp_path}/objects") as opened:
        opened.clear()
    psk.store.close_opened_stores()


@pytest.mark.parametrize(("kind", "rule", "provoke"), CASES)
def test_an_error_says_what_which_rule_and_what_to_do(kind, rule, provoke, store, request):
    argument = provoke.__code__.co_varnames[0]
    named = []
    with pytest.raises(PskError) as caught:
        provoke(request.getfixturevalue(argument), named)
    error = caught.value
    what = error.args[0]
    # What a proxy raises when it is used is a ProxyResolveError as well.
    assert next(each for each in type(error).__mro__ if each in PUBLIC) is kind
    assert named
    assert [name for name in named if name not in what] == []
    assert [words for words in rule if words not in what] == []
    assert error.remedy
    assert "\n" not in str(error)
    assert str(error).startswith(f"{what}; {error.remedy}")


def test_no_public_error_is_missing_from_the_table():
    assert {case.values[0] for case in CASES} == PUBLIC


@pytest.mark.parametrize("kind", sorted(PUBLIC, key=lambda kind: kind.__name__))
def test_an_error_can_be_caught_as_any_of_psk(kind):
    assert issubclass(kind, PskError)
    assert kind.__doc__.rstrip().endswith(".")
    travelled = pickle.loads(pickle.dumps(kind("what", found=["this"], remedy="do that")))
    assert (type(travelled), str(travelled)) == (kind, "what; do that (found: this)")
