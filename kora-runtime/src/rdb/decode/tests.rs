//! Values of every type, made by hand.
