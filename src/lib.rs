//! Roadstead.
