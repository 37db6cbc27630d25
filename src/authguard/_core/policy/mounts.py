"""Find the part of a path below a mount point, as different frameworks see it.

ASGI has the mount point in the path, but some servers and proxies remove it. Frameworks remove it in
different ways, some of them everywhere in the path. So a path has a single reading only if the mount point is
its proper beginning, or is not in it at all.
"""

from collections.abc import Iterator

from authguard._core.policy.paths import (
    MAX_MOUNT_POINTS,
    MAX_ODD_PATH,
    MAX_PATH,
    Segments,
    TooMuchWorkError,
    fold,
    is_canonical,
    readings,
    split,
)


def below(root_path: str, path: str) -> str:
    """Return the path as the application's router sees it: boundary-aware, like Starlette's."""
    rest = path.removeprefix(root_path)
    return rest if rest != path and (not rest or rest.startswith("/")) else path


def is_misplaced(root_path: str, path: str) -> bool:
    """Return True if the mount point is in a path, but not as its proper beginning."""
    text = root_path.rstrip("/")
    if not text or len(path) > MAX_PATH or below(root_path, path) != path:
        return False
    return text in path


class Mount:
    """Read the path of a request below its mount point.

    Args:
        root_path: ASGI `root_path` or WSGI `SCRIPT_NAME`; only slashes mean no mount point.

    Raises:
        TooMuchWorkError: if it is longer than any path that is read in every way.

    Attributes:
        is_plain: whether the path can be read in only one way.
        prefixes: the segments that rules may have before those of a path: none, or the mount point.
    """

    def __init__(self, root_path: str) -> None:
        if len(root_path) > MAX_ODD_PATH:
            raise TooMuchWorkError
        self._root_path = root_path
        self._folded = fold(root_path) if root_path else ()
        self.is_plain = not root_path.strip("/") or is_canonical("/" + root_path.strip("/"))
        self.prefixes: tuple[Segments, ...] = ((), split(root_path)) if root_path.strip("/") else ((),)

    def last_end(self, segments: Segments) -> int:
        """Return the number of segments up to the end of the last repetition of the mount point; 0 for none.

        Args:
            segments: of a canonical path below the mount point; the case of letters is ignored.
        """
        if not self._folded:
            return 0
        after_each = self._after_each((*self._folded, *fold("/".join(segments))))
        return max((len(segments) - len(after) for after in after_each), default=0)

    def ways(self, path: str, *, misplaced: bool) -> set[Segments]:
        """Return every way in which a path might be read, with, without and below the mount point.

        Args:
            path: decoded; below the mount point, unless the mount point is misplaced.
            misplaced: see `is_misplaced`.

        Raises:
            TooMuchWorkError: if the ways are too many, or the path is too long.
        """
        texts = {path}
        if not self.is_plain:
            texts.add(f"{self._root_path}/{path}")
        mount_point = self._root_path.rstrip("/")
        if misplaced:
            texts |= _removed(mount_point, path)
        elif mount_point and mount_point in path:  # the mount point occurs again, perhaps as a part of a word
            texts |= _removed(mount_point, mount_point + path)
        paths_inside: set[Segments] = set()
        for way in readings(*texts):
            paths_inside.add(way)
            if self._folded:
                mounted = (*self._folded, *way)
                paths_inside.add(mounted)
                paths_inside.update(self._after_each(mounted))
        return paths_inside

    def _after_each(self, mounted: Segments) -> Iterator[Segments]:
        """Yield the segments after each mount point but the first, which is the beginning."""
        size, occurrences = len(self._folded), 0
        for end in range(size + 1, len(mounted) + 1):
            if mounted[end - size : end] == self._folded:
                occurrences += 1
                if occurrences > MAX_MOUNT_POINTS:
                    raise TooMuchWorkError
                yield mounted[end:]


def _removed(root_path: str, path: str) -> set[str]:
    """Return the rest of a path for each way to remove the mount point regardless of its place.

    Frameworks use `str.split`, `partition`, `replace`, `removeprefix` and `lstrip` for it.
    """
    pieces = path.split(root_path)
    if len(pieces) > MAX_MOUNT_POINTS + 1:
        raise TooMuchWorkError
    # Text before another mount point is not read separately: a rule that protects it covers all paths below.
    after_each = (root_path.join(pieces[start:]) for start in range(1, len(pieces)))
    return {
        *after_each,
        path.rpartition(root_path)[2],
        path.replace(root_path, "", 1),
        path.replace(root_path, ""),
        path.lstrip(root_path),
    }
