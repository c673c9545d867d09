"""How do frames lie behind the header block, and do received frames match the frame table?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.errors import PayloadError, SerializationError
from psk.wire.frames import byte_view
from psk.wire.layout import READ_ONLY, ZEROS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.wire.frames import Buffer, Frame


_SEGMENTED = (list, tuple)


def keep_frames(frames: Sequence[Frame]) -> tuple[list[Buffer | list[Buffer]], list[int]]:
    """Return frames as buffers of bytes, and their entries in the frame table: size and read-only bit.

    Raises:
        SerializationError: A frame is not made of contiguous buffers.
    """
    kept: list[Buffer | list[Buffer]] = []
    table: list[int] = []
    frame: Frame = b""
    try:
        for frame in frames:
            if type(frame) is bytes:
                kept.append(frame)
                table.append(len(frame) | READ_ONLY)
            elif isinstance(frame, _SEGMENTED):
                segments: list[Buffer] = [part if type(part) is bytes else _held(part) for part in frame]
                kept.append(segments)
                table.append(sum(map(len, segments)) | READ_ONLY)
            else:
                view = _held(frame)
                kept.append(view)
                table.append(len(view) | READ_ONLY if view.readonly else len(view))
    except (TypeError, ValueError, BufferError) as error:
        raise SerializationError(
            f"a codec returned a frame of type {type(frame).__name__}: {error}",
            remedy="return contiguous buffers, or lists of them",
        ) from error
    return kept, table


def _held(buffer: object) -> memoryview:
    """Return a view that keeps memory at its length for as long as it lives, whatever the memory's owner does."""
    return byte_view(memoryview(buffer))  # type: ignore[arg-type]  # of our own: a caller's view he can release


def body_buffers(frames: Sequence[Buffer | list[Buffer]], sizes: Sequence[int]) -> list[Buffer]:
    """Return what follows the header block, in order, with the padding between frames."""
    if len(sizes) == 1:
        frame = frames[0]
        return frame if type(frame) is list else [frame]  # type: ignore[list-item]  # not a list, so one buffer
    body: list[Buffer] = []
    before = 0
    for frame, size in zip(frames, sizes, strict=True):
        if before & 63:
            body.append(ZEROS[-before & 63])
        if type(frame) is list:
            body += frame
        else:
            body.append(frame)  # type: ignore[arg-type]  # mypy does not narrow on `type(...) is list`
        before = size
    return body


def split_body(whole: bytes | memoryview, start: int, sizes: Sequence[int], nbytes: int) -> list[memoryview]:
    """Return the frames that lie in one buffer with the whole payload.

    Args:
        whole: The payload as received.
        start: Where the first frame begins: the header block's size.
        sizes: Frame sizes as the frame table claims them.
        nbytes: Payload size as the header claims it.

    Raises:
        PayloadError: The claims do not fit what was received.
    """
    whole = memoryview(whole)
    given = whole.nbytes
    if nbytes == given:
        if len(sizes) == 1 and start + sizes[0] == given:
            return [whole[start:]]
        frames = []
        end = start
        for size in sizes:
            begin = end + 63 & -64
            if begin != end and whole[end:begin] != ZEROS[begin - end]:
                break
            end = begin + size
            if end > given:
                break
            frames.append(whole[begin:end])
        else:
            if end == given:
                return frames
    raise _mismatch(given, nbytes, sizes)


def match_body(
    header: bytes | memoryview, buffers: Sequence[object], start: int, sizes: Sequence[int], nbytes: int
) -> list[bytes | memoryview]:
    """Return the frames that were received one buffer each, behind a buffer with the header block.

    Args:
        header: The first buffer, as bytes or a view of bytes.
        buffers: All buffers as received; the first is the header.
        start: The header block's size.
        sizes: Frame sizes as the frame table claims them.
        nbytes: Payload size as the header claims it.

    Raises:
        PayloadError: The claims do not fit what was received.
    """
    if len(sizes) == 1 and len(buffers) == 2 and type(only := buffers[1]) is bytes:  # noqa: PLR2004  # a hot path
        if len(header) == start and len(only) == sizes[0] == nbytes - start:
            return [only]
        raise _mismatch(len(header) + len(only), nbytes, sizes)
    try:
        frames = [buffer if type(buffer) is bytes else byte_view(buffer) for buffer in buffers[1:]]
    except (TypeError, ValueError, BufferError) as error:
        raise PayloadError(f"a payload's frame is no buffer of bytes: {error}") from error
    end = len(header)
    if end == start and tuple(map(len, frames)) == sizes:
        for size in sizes:
            end = (end + 63 & -64) + size
        if end == nbytes:
            return frames
    raise _mismatch(sum(map(len, (header, *frames))), nbytes, sizes)


def _mismatch(given: int, claimed: int, sizes: Sequence[int]) -> PayloadError:
    return PayloadError(
        f"a payload is truncated or damaged: its header claims {claimed} bytes in {len(sizes)} frames",
        found=[f"{given} bytes"],
        remedy="put the object again",
    )
