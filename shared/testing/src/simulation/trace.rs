//! What happened, line by line.

use std::fmt;

/// What happened, line by line: the same seed gives the same lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps its lines.
    pub(crate) const fn kept() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    pub(crate) const fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    /// The last lines.
    #[must_use]
    pub fn tail(&self, count: usize) -> Self {
        let tail = |lines: &Vec<String>| lines[lines.len().saturating_sub(count)..].to_vec();
        Self { lines: self.lines.as_ref().map(tail) }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().flatten().try_for_each(|line| writeln!(f, "{line}"))
    }
}
