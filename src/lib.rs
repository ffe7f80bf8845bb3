//! Ringplane: a telephone switch for bare metal.
