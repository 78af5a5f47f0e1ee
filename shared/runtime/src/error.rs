//! What can go wrong: a refusal, a lost race, or a fault of ours.

use contracts::{FieldError, Language, Problem, ProblemDetails};
use serde_json::{Map, Value};

use crate::{
    Key, Unreachable,
    problems::{INTERNAL, INVALID_REQUEST, TRY_AGAIN, UNAVAILABLE},
};

/// The result of a function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a function didn't answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's doing: shown to them.
    #[error("{}", .0.problem.reason)]
    Refused(Box<Refusal>),
    /// Someone else changed a document first: the function is run again.
    #[error("another request changed {}/{} first", .0.collection, .0.id)]
    Stale(Key),
    /// A subscriber was given an event that it has handled before.
    #[error("the event was handled before")]
    Repeated,
    /// We can't just now; it may work in so many seconds.
    #[error("unavailable; try again in {0} s")]
    Unavailable(u32),
    /// Our doing: logged, and never shown. If it's that the database is
    /// [`Unreachable`], the caller is told to try again.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Refusal::of(problem).into()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Error {
    /// What the caller is told, who is told nothing of our faults.
    pub(crate) fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => *refusal,
            Self::Stale(_) => Refusal::of(TRY_AGAIN).retry_after(1),
            Self::Unavailable(seconds) => Refusal::of(UNAVAILABLE).retry_after(seconds),
            Self::Internal(error) if error.downcast_ref::<Unreachable>().is_some() => {
                Refusal::of(UNAVAILABLE).retry_after(1)
            }
            Self::Repeated | Self::Internal(_) => Refusal::of(INTERNAL),
        }
    }
}

/// A text for people in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    en: String,
    es: String,
}

impl Said {
    /// The text in English and in Spanish.
    pub fn new(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self { en: en.into(), es: es.into() }
    }

    fn into_text(self, language: Language) -> String {
        language.choose(self.en, self.es)
    }
}

/// A refusal: the problem, and what is wrong in particular.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The problem, as the operation declares it.
    pub problem: Problem,
    /// Boxed, because results carry refusals everywhere and seldom have one.
    more: Box<Particulars>,
}

/// What is wrong in particular.
#[derive(Clone, Debug, Default, PartialEq)]
struct Particulars {
    /// What is wrong, for people.
    detail: Option<Said>,
    /// Each thing that is wrong.
    faults: Vec<Fault>,
    /// Whether it's the one thing that is wrong, and told as such.
    is_listed: bool,
    /// In how many seconds it may work.
    retry_after: Option<u32>,
    /// The problems that hold beside the first.
    others: Vec<Problem>,
    /// The values that were compared.
    values: Map<String, Value>,
}

/// One thing that is wrong, in both languages.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    field: Option<String>,
    reason: String,
    detail: Said,
    values: Map<String, Value>,
}

impl Refusal {
    /// A refusal with nothing particular.
    pub fn of(problem: Problem) -> Self {
        Self { problem, more: Box::default() }
    }

    /// Says what is wrong in particular, and what would mend it.
    #[must_use]
    pub fn because(mut self, en: impl Into<String>, es: impl Into<String>) -> Self {
        self.more.detail = Some(Said::new(en, es));
        self
    }

    /// The same, with a text that exists already.
    #[must_use]
    pub fn saying(mut self, said: Said) -> Self {
        self.more.detail = Some(said);
        self
    }

    /// Gives a value that was compared.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.values.insert(name.to_owned(), value.into());
        self
    }

    /// Says in how many seconds it may work.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.more.retry_after = Some(seconds);
        self
    }

    /// One refusal for all of these, which all hold; nothing if none does.
    pub fn all(refusals: Vec<Self>) -> Option<Self> {
        if let [_, others @ ..] = &*refusals
            && !others.is_empty()
        {
            let faults = refusals.iter().map(Self::as_fault).collect();
            let others = others.iter().map(|it| it.problem).collect();
            let mut first = refusals.into_iter().next()?;
            (first.more.faults, first.more.others) = (faults, others);
            return Some(first);
        }
        let mut only = refusals.into_iter().next()?;
        only.more.is_listed = true;
        Some(only)
    }

    /// In how many seconds it may work, if that's known.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.more.retry_after
    }

    /// What is wrong, on one line, for whoever runs the platform.
    pub fn told(&self) -> String {
        let told = |fault: &Fault| match &fault.field {
            Some(field) => format!("{field}: {} ({})", fault.reason, fault.detail.en),
            None => format!("{} ({})", fault.reason, fault.detail.en),
        };
        let faults: Vec<_> = self.more.faults.iter().map(told).collect();
        if faults.is_empty() {
            let detail = self.more.detail.as_ref().map_or(self.problem.en, |it| &it.en);
            return format!("{} ({detail})", self.problem.reason);
        }
        faults.join("; ")
    }

    /// Every problem that holds.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        std::iter::once(&self.problem).chain(&self.more.others)
    }

    fn as_fault(&self) -> Fault {
        let title = Said::new(self.problem.en, self.problem.es);
        Fault {
            field: None,
            reason: self.problem.reason.to_owned(),
            detail: self.more.detail.clone().unwrap_or(title),
            values: self.more.values.clone(),
        }
    }

    /// The refusal as it goes over the wire.
    pub(crate) fn into_details(self, language: Language, trace_id: &str) -> ProblemDetails {
        let Self { problem, more } = self;
        let Particulars { detail, faults, is_listed, values, .. } = *more;
        let (title, detail) = (problem.title(language), detail.map(|it| it.into_text(language)));
        let error = |fault: Fault| FieldError {
            field: fault.field,
            reason: fault.reason,
            detail: fault.detail.into_text(language),
            values: fault.values,
        };
        let mut errors: Vec<_> = faults.into_iter().map(error).collect();
        if errors.is_empty() && (is_listed || !values.is_empty()) {
            errors.push(FieldError {
                field: None,
                reason: problem.reason.to_owned(),
                detail: detail.as_deref().unwrap_or(title).to_owned(),
                values,
            });
        }
        ProblemDetails {
            kind: format!("/problems/{}", problem.reason),
            title: title.to_owned(),
            status: problem.code.status(),
            detail,
            reason: problem.reason.to_owned(),
            errors,
            trace_id: Some(trace_id.to_owned()),
        }
    }

    /// A refusal that another domain answered with, to be passed on.
    pub(crate) fn passed_on(problem: Problem, details: ProblemDetails) -> Self {
        let same = |text: String| Said { en: text.clone(), es: text };
        let fault = |error: FieldError| Fault {
            field: error.field,
            reason: error.reason,
            detail: same(error.detail),
            values: error.values,
        };
        let detail = details.detail.map(same);
        let faults = details.errors.into_iter().map(fault).collect();
        let more = Particulars { detail, faults, ..Particulars::default() };
        Self { problem, more: Box::new(more) }
    }
}

/// Collects everything that is wrong with a request's fields, to tell it at once.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what is wrong with a field, unless it's right.
    pub fn unless(&mut self, right: bool, field: &str, reason: &str, en: &str, es: &str) {
        if !right {
            self.0.push(Fault {
                field: Some(field.to_owned()),
                reason: reason.to_owned(),
                detail: Said::new(en, es),
                values: Map::new(),
            });
        }
    }

    /// Refuses the request as a whole if anything is wrong.
    pub fn check(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(self.refuse(INVALID_REQUEST).into()) }
    }

    /// The refusal of what was noted, under a problem of the operation's own.
    pub fn refuse(self, problem: Problem) -> Refusal {
        let mut refusal = Refusal::of(problem);
        refusal.more.faults = self.0;
        refusal
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The refusal of one field that can't be read.
pub(crate) fn invalid_field(field: Option<String>, reason: &str, detail: Said) -> Refusal {
    let en = field.as_ref().map_or(detail.en.clone(), |it| format!("{it}: {}", detail.en));
    let es = field.as_ref().map_or(detail.es.clone(), |it| format!("{it}: {}", detail.es));
    let fault = Fault { field, reason: reason.to_owned(), detail, values: Map::new() };
    let mut refusal = Refusal::of(INVALID_REQUEST).because(en, es);
    refusal.more.faults = vec![fault];
    refusal
}
