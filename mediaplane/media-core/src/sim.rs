//! A network for tests.
