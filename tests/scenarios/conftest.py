"""One story on a secured Kafka, for the tests that look at what came of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.secured_story import SecuredStory, secured_story


@pytest.fixture(scope="package")
def secured(postgres_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredStory]:
    """A log that all roles decided on, each as its own user, with signing keys. The workers are stopped."""
    with secured_story(tmp_path_factory.mktemp("secured"), postgres_uri) as found:
        yield found
