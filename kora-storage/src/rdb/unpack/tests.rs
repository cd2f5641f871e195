//! Compact forms made by hand, and every way to damage them.
