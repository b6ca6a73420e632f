//! Checking of files.
