//! The trace that a request belongs to (W3C Trace Context), carried through
//! calls and events.

use crate::Random;

tokio::task_local! {
    /// The trace of what runs.
    static CURRENT: Trace;
}

/// Where a request is in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace: 32 hexadecimal digits.
    pub trace_id: String,
    /// This step of it: 16 hexadecimal digits.
    pub span_id: String,
    /// The step that has caused it, if somebody told.
    pub parent_id: Option<String>,
    /// Whether somebody asked to keep it.
    pub sampled: bool,
}

impl Trace {
    /// Goes on with the trace of a `traceparent`, or begins a new one if it isn't valid.
    pub fn continued(traceparent: Option<&str>, random: &dyn Random) -> Self {
        let (trace_id, parent_id, sampled) = match traceparent.and_then(parse) {
            Some((trace_id, parent_id, sampled)) => (trace_id, Some(parent_id), sampled),
            None => (hexadecimal(random, 16), None, false),
        };
        Self { trace_id, span_id: hexadecimal(random, 8), parent_id, sampled }
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
            trace_id: self.trace_id.clone(),
            span_id: hexadecimal(random, 8),
            parent_id: Some(self.span_id.clone()),
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
fn parse(traceparent: &str) -> Option<(String, String, bool)> {
    let mut parts = traceparent.split('-');
    let (version, trace_id, span_id, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    let known =
        digits(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    let some = |text: &str| text.bytes().any(|it| it != b'0');
    let valid = known
        && digits(trace_id, 32)
        && some(trace_id)
        && digits(span_id, 16)
        && some(span_id)
        && digits(flags, 2);
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    valid.then(|| (trace_id.to_owned(), span_id.to_owned(), sampled))
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn hexadecimal(random: &dyn Random, count: usize) -> String {
    let mut bytes = [0; 16];
    let bytes = &mut bytes[..count];
    random.fill(bytes);
    // All zeros is no trace at all.
    bytes[0] |= 1;
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(|half| char::from(DIGITS[usize::from(half)])).collect()
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
        assert_eq!((trace.trace_id.as_str(), trace.sampled), (id, true));
        assert_ne!(trace.span_id, "00f067aa0ba902b7");
        assert_eq!(trace.parent_id.as_deref(), Some("00f067aa0ba902b7"));
        let next = trace.next(&Sevens);
        assert_eq!((&next.trace_id, next.parent_id), (&trace.trace_id, Some(trace.span_id)));
        for broken in ["", "00-x-y-01", &format!("ff-{id}-00f067aa0ba902b7-01"), "00-0-0-0"] {
            let begun = Trace::continued(Some(broken), &Sevens);
            assert_eq!((begun.trace_id, begun.parent_id), ("07".repeat(16), None));
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
