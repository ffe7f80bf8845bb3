//! Every counter of the switch, declared once: name, unit and meaning.
//!
//! Cores count into a plain [`Counts`]; the process that runs them publishes those numbers in shared memory, where
//! `ringplane stats` reads them with the words from here. Tests: `cargo test -p ringplane-stats`.

#![forbid(unsafe_code)]

mod media;
mod signal;

pub use media::MediaCounter;
pub use signal::SignalCounter;

/// What a number counts or measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Datagrams or messages.
    Packets,
    /// Bytes.
    Bytes,
    /// Calls, legs, transactions, commands: things that happen.
    Events,
    /// How many there are now (goes up and down).
    Level,
    /// Microseconds.
    Microseconds,
}

/// A set of counters with name, unit and meaning. Implemented by the enums that [`counters!`] declares.
pub trait CounterSet: Copy + 'static {
    /// All counters of the set, in the order of their index.
    const ALL: &'static [Self];
    /// Index in [`Self::ALL`].
    fn index(self) -> usize;
    /// The name as operators see it; ends in its unit.
    fn name(self) -> &'static str;
    /// What the counter counts or measures.
    fn unit(self) -> Unit;
    /// The meaning, one sentence for operators.
    fn meaning(self) -> &'static str;
}

/// Declares an enum of counters: `Variant: "name", Unit, "meaning";`
#[macro_export]
macro_rules! counters {
    ($(#[$doc:meta])* pub enum $set:ident { $($variant:ident: $name:literal, $unit:ident, $meaning:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $set { $(#[doc = $meaning] $variant,)* }
        impl $crate::CounterSet for $set {
            const ALL: &'static [Self] = &[$(Self::$variant),*];
            fn index(self) -> usize { self as usize }
            fn name(self) -> &'static str { match self { $(Self::$variant => $name),* } }
            fn unit(self) -> $crate::Unit { match self { $(Self::$variant => $crate::Unit::$unit),* } }
            fn meaning(self) -> &'static str { match self { $(Self::$variant => $meaning),* } }
        }
    };
}

/// The values of one set of counters, owned by one thread.
#[derive(Clone, Debug)]
pub struct Counts<C: CounterSet> {
    values: Box<[u64]>,
    set: std::marker::PhantomData<C>,
}

impl<C: CounterSet> Default for Counts<C> {
    fn default() -> Self {
        Self { values: vec![0; C::ALL.len()].into(), set: std::marker::PhantomData }
    }
}

impl<C: CounterSet> Counts<C> {
    /// Adds `more` to a counter, wrapping.
    pub fn add(&mut self, counter: C, more: u64) {
        self.values[counter.index()] = self.values[counter.index()].wrapping_add(more);
    }

    /// Sets a level.
    pub fn set(&mut self, counter: C, value: u64) {
        self.values[counter.index()] = value;
    }

    /// The value of a counter.
    pub fn get(&self, counter: C) -> u64 {
        self.values[counter.index()]
    }

    /// The values of all counters, in the order of [`CounterSet::ALL`].
    pub fn values(&self) -> &[u64] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn check<C: CounterSet>() {
        let mut names = HashSet::new();
        for counter in C::ALL {
            assert!(names.insert(counter.name()), "{} twice", counter.name());
            assert!(counter.meaning().ends_with('.'), "{} has no sentence", counter.name());
            let suffix = match counter.unit() {
                Unit::Packets => "_packets",
                Unit::Bytes => "_bytes",
                Unit::Microseconds => "_us",
                Unit::Events | Unit::Level => "",
            };
            assert!(counter.name().contains(suffix), "{} hides its unit", counter.name());
        }
    }

    #[test]
    fn every_counter_has_its_own_name_and_a_sentence() {
        check::<MediaCounter>();
        check::<SignalCounter>();
    }

    #[test]
    fn counts_count() {
        let mut counts = Counts::<MediaCounter>::default();
        counts.add(MediaCounter::RtpReceived, 2);
        counts.add(MediaCounter::RtpReceived, 1);
        assert_eq!(counts.get(MediaCounter::RtpReceived), 3);
        assert_eq!(counts.values().iter().sum::<u64>(), 3);
    }
}
