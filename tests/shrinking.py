"""Makes the draft of a network that fails a test as small as can be while it still fails."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.networks import Draft


def smaller(draft: Draft) -> Iterator[Draft]:
    """Yield drafts that are simpler in one place, the boldest first."""
    recipes = draft.recipes
    for length in (8, 4, 2, 1):
        for start in range(len(recipes) - length, -1, -1):
            yield replace(draft, recipes=recipes[:start] + recipes[start + length :])
    for i in range(len(draft.heads) if len(draft.heads) > 1 else 0):
        yield replace(draft, heads=draft.heads[:i] + draft.heads[i + 1 :])
    for i, head in enumerate(draft.heads):
        if head != (0, 0):
            yield replace(draft, heads=(*draft.heads[:i], (0, 0), *draft.heads[i + 1 :]))
    if draft.vocabulary:
        yield replace(draft, vocabulary=0)
    if len(draft.inputs) > 1:
        yield replace(draft, inputs=draft.inputs[:1])
    for i, (name, numbers) in enumerate(recipes):
        for k in range(len(numbers)):
            if numbers[k]:
                plainer = (*numbers[:k], 0, *numbers[k + 1 :])
                yield replace(draft, recipes=(*recipes[:i], (name, plainer), *recipes[i + 1 :]))


def shrink(draft: Draft, fails: Callable[[Draft], bool], seconds: float) -> Draft:
    """Return the smallest draft found that fails, trying for a limited time; one whose program is unknown is skipped.

    Args:
        draft: a draft that fails.
        fails: whether another draft fails in the same way.
        seconds: when to stop.
    """
    end = time.monotonic() + seconds
    seen = {draft.write().source}
    found = True
    while found:
        found = False
        for candidate in smaller(draft):
            if time.monotonic() > end:
                return draft
            source = candidate.write().source
            if len(source) > len(draft.write().source) or source in seen:
                continue
            seen.add(source)
            if fails(candidate):
                draft, found = candidate, True
                break
    return draft
