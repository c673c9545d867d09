"""How long does a borrow last that is passed to a task? As long as the task."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psk.errors import InvalidArgumentError
from psk_patterns.ownership.lending import mark_refs_out_of_scope
from psk_patterns.ownership.proxies import is_borrowed
from psk_patterns.traversal import leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def submit(
    submit_func: Callable[..., Any], *, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> Any:
    """Submit a task, and end the borrows among its arguments with its future.

    Borrows are found at any depth of lists, tuples, dicts and dataclasses.

    Args:
        submit_func: As `executor.submit`; it returns a future that has `add_done_callback`.
        args: Its positional arguments, the task's function first.
        kwargs: Its keyword arguments.

    Returns:
        What `submit_func` returned.

    Raises:
        InvalidArgumentError: An argument contains itself, or what was returned is no future; then the borrows last.
    """
    args, kwargs = tuple(args), dict(kwargs or {})
    refs = [leaf for leaf in leaves((args, kwargs)) if is_borrowed(leaf)]
    future = submit_func(*args, **kwargs)
    if not hasattr(future, "add_done_callback"):
        raise InvalidArgumentError(
            f"{submit_func!r} returned a {type(future).__qualname__}, which has no add_done_callback, so nobody can "
            f"tell when to end {len(refs)} borrows",
            remedy="pass the submit method of an executor, or end them with mark_refs_out_of_scope(*refs)",
        )
    if refs:
        future.add_done_callback(partial(_end, refs))
    return future


def _end(refs: list[Any], _future: Any) -> None:
    mark_refs_out_of_scope(*refs)
    refs.clear()  # the future may be kept for long
