//! Real clusters for tests.
