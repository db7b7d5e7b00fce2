"""What holds for all tests."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """Tests run side by side, and small products on several threads only contend."""
    with threadpool_limits(1, user_api="blas"):
        yield
