//! The trace that a request belongs to (W3C Trace Context), carried through
//! calls and events.

use std::{fmt, ops::Deref};

use crate::Random;

tokio::task_local! {
    /// The trace of what runs.
    static CURRENT: Trace;
}

/// So many hexadecimal digits. They are kept in place: every request has some, and
/// hands them on many times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digits<const N: usize>([u8; N]);

/// Where a request is in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub trace_id: Digits<32>,
    /// This step of it.
    pub span_id: Digits<16>,
    /// The step that has caused it, if somebody told.
    pub parent_id: Option<Digits<16>>,
    /// Whether somebody asked to keep it.
    pub sampled: bool,
}

impl Trace {
    /// Goes on with the trace of a `traceparent`, or begins a new one if it isn't valid.
    pub fn continued(traceparent: Option<&str>, random: &dyn Random) -> Self {
        let (trace_id, parent_id, sampled) = match traceparent.and_then(parse) {
            Some((trace_id, parent_id, sampled)) => (trace_id, Some(parent_id), sampled),
            None => (Digits::drawn(random), None, false),
        };
        Self { trace_id, span_id: Digits::drawn(random), parent_id, sampled }
    }

    /// The same for what may run within a step of that trace already: then it
    /// belongs to that step.
    pub(crate) fn going_on(traceparent: Option<&str>, random: &dyn Random) -> Self {
        let told = traceparent.and_then(parse);
        let is_same =
            |it: &Self| told.as_ref().is_none_or(|(trace_id, ..)| *trace_id == it.trace_id);
        let current = Self::with_current(Self::clone).filter(is_same);
        current.unwrap_or_else(|| Self::continued(traceparent, random))
    }

    /// A step that this one causes.
    #[must_use]
    pub fn next(&self, random: &dyn Random) -> Self {
        Self {
            trace_id: self.trace_id,
            span_id: Digits::drawn(random),
            parent_id: Some(self.span_id),
            sampled: self.sampled,
        }
    }

    /// Runs something within the trace: what it tells the log belongs to it.
    pub async fn within<F: Future>(self, run: F) -> F::Output {
        CURRENT.scope(self, run).await
    }

    #[cfg(test)]
    pub(crate) fn within_sync(self, run: impl FnOnce()) {
        CURRENT.sync_scope(self, run);
    }

    /// Looks at the trace of what runs, if there's one.
    pub fn with_current<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(look).ok()
    }

    /// The trace as a header's value.
    pub fn traceparent(&self) -> String {
        let flags = if self.sampled { "01" } else { "00" };
        ["00", &self.trace_id, &self.span_id, flags].join("-")
    }
}

/// The trace and the step of a `traceparent`, and whether it's sampled.
fn parse(traceparent: &str) -> Option<(Digits<32>, Digits<16>, bool)> {
    let mut parts = traceparent.split('-');
    let (version, trace_id, span_id, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let version = Digits::<2>::read(version)?;
    let is_known = &*version != "ff" && (&*version != "00" || parts.next().is_none());
    let (trace_id, span_id) = (Digits::read(trace_id)?, Digits::read(span_id)?);
    let flags = Digits::<2>::read(flags)?;
    let sampled = u8::from_str_radix(&flags, 16).ok()? & 1 == 1;
    let is_valid = is_known && trace_id.is_any() && span_id.is_any();
    is_valid.then_some((trace_id, span_id, sampled))
}

impl<const N: usize> Digits<N> {
    /// Reads digits, which have to be so many, and small.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let digits: [u8; N] = text.as_bytes().try_into().ok()?;
        digits.iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(digits))
    }

    /// Digits that nobody has met before.
    fn drawn(random: &dyn Random) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; N];
        let (bytes, _) = digits.split_at_mut(N / 2);
        random.fill(bytes);
        // All zeros is no trace at all.
        bytes[0] |= 1;
        for at in (0..N).rev() {
            let byte = digits[at / 2];
            let half = if at % 2 == 0 { byte >> 4 } else { byte & 15 };
            digits[at] = DIGITS[usize::from(half)];
        }
        Self(digits)
    }

    /// Whether they name anything: all zeros don't.
    fn is_any(&self) -> bool {
        self.0.iter().any(|it| *it != b'0')
    }
}

impl<const N: usize> Deref for Digits<N> {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are ASCII")
    }
}

impl<const N: usize> fmt::Display for Digits<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<const N: usize> fmt::Debug for Digits<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn a_valid_traceparent_is_continued_and_another_is_not() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{id}-00f067aa0ba902b7-01");
        let trace = Trace::continued(Some(&parent), &Sevens);
        assert_eq!((&*trace.trace_id, trace.sampled), (id, true));
        assert_ne!(&*trace.span_id, "00f067aa0ba902b7");
        assert_eq!(trace.parent_id.as_deref(), Some("00f067aa0ba902b7"));
        let next = trace.next(&Sevens);
        assert_eq!((&next.trace_id, next.parent_id), (&trace.trace_id, Some(trace.span_id)));
        for broken in ["", "00-x-y-01", &format!("ff-{id}-00f067aa0ba902b7-01"), "00-0-0-0"] {
            let begun = Trace::continued(Some(broken), &Sevens);
            assert_eq!((&*begun.trace_id, begun.parent_id), (&*"07".repeat(16), None));
        }
    }

    #[tokio::test]
    async fn what_runs_within_a_step_belongs_to_it() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{id}-00f067aa0ba902b7-01");
        let step = Trace::continued(Some(&parent), &Sevens);
        let within = async { Trace::going_on(Some(&parent), &Sevens) };
        assert_eq!(step.clone().within(within).await, step);
        let untold = async { Trace::going_on(None, &Sevens) };
        assert_eq!(step.clone().within(untold).await, step);
        let other = format!("00-{}-00f067aa0ba902b7-01", id.replace('4', "5"));
        let another = async { Trace::going_on(Some(&other), &Sevens) };
        assert_ne!(step.clone().within(another).await.trace_id, step.trace_id);
    }
}
