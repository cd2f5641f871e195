//! Tests of directories.
