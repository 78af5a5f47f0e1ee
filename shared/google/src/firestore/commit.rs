//! Commits: all or nothing in one call, and what became of a call that wasn't
//! answered.
//!
//! A commit is one `Commit` whose writes have a precondition each: that the
//! document isn't there, or that it's still at the version that was read. There
//! is no transaction and no lock.
//!
//! **A call without an answer** (the connection broke, the patience ended) may
//! have been made, may not, and may even be made later, while it's still under
//! way. That isn't guessed. Each document names the last commits that wrote it
//! (`versions`), so:
//!
//! 1. The same call is made again, with the same id of the commit. Its
//!    preconditions let only one of the two through, so nothing is made twice; and
//!    if this one is answered with success, it's made.
//! 2. If a precondition fails now, the documents are read. Does one of them name
//!    our commit, then the first call was made, and with it all of the commit,
//!    though others may have written over it since.
//! 3. Is one of those that it would have replaced or deleted still at the version
//!    that was read, or does it name the commit that made that version and not
//!    ours, then ours wasn't made: it's a plain conflict. The first call won't be
//!    made later either; that version comes never again.
//! 4. Otherwise nobody can know: all that could tell was deleted, or created by
//!    somebody (perhaps after ours was created and deleted), or written over more
//!    often than documents remember. Then the answer is an error, not a conflict.
//!    Who gets it tries again with the same idempotency key, or is handed the same
//!    event again, and its record tells: nobody replaces it.
//!
//! A commit that only deletes leaves nothing behind that could name it. If it
//! isn't answered and the documents are gone when it's tried again, that is case 4.

use std::collections::HashMap;

use gcloud_sdk::{
    google::firestore::v1::{
        self as google, CommitRequest, Precondition, precondition::ConditionType, write::Operation,
    },
    tonic::Code,
};
use runtime::{Conflict, Unreachable, Write};

use super::{
    domain::DomainStore,
    patience::{Failed, Told},
    values,
    versions::{COMMITS, Written, new_commit},
};

/// What the documents of a commit tell about it.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// It was made.
    Made,
    /// It wasn't, for this document wasn't as supposed.
    Conflict(Conflict),
    /// Nothing is in its way.
    Free,
    /// Others have changed all that could tell.
    Unclear,
}

impl DomainStore {
    /// Makes a commit.
    pub(super) async fn write(&self, writes: Vec<Write>) -> anyhow::Result<Result<(), Conflict>> {
        if writes.is_empty() {
            return Ok(Ok(()));
        }
        if let Err(conflict) = self.collections.check(&writes)? {
            return Ok(Err(conflict));
        }
        let commit = new_commit(&*self.random);
        let request = CommitRequest {
            database: self.database.clone(),
            writes: writes
                .iter()
                .map(|it| self.google_write(it, &commit))
                .collect::<Result<_, _>>()?,
            ..CommitRequest::default()
        };
        let mut tries = self.tries();
        let mut unanswered = false;
        loop {
            self.count_call();
            let Err(failed) = self.connection.call(request.clone()).await else {
                return Ok(Ok(()));
            };
            match failed.told() {
                Told::Never => return Err(failed.ends()),
                Told::Undone => {}
                Told::Nothing => unanswered = true,
                Told::Refused => {
                    if !unanswered && let Some(conflict) = of_one(&writes, &failed) {
                        return Ok(Err(conflict));
                    }
                    match self.look(&writes, &commit, unanswered).await? {
                        Seen::Made => return Ok(Ok(())),
                        Seen::Conflict(conflict) => return Ok(Err(conflict)),
                        Seen::Unclear => return Err(unclear(&failed)),
                        // What was in its way has gone meanwhile.
                        Seen::Free => {}
                    }
                }
            }
            tracing::debug!(%failed, unanswered, "committing again");
            if tries.another().await {
                continue;
            }
            if !unanswered {
                return Err(failed.ends());
            }
            // Tried for the last time, and perhaps it was made all the same.
            return match self.look(&writes, &commit, unanswered).await {
                Ok(Seen::Made) => Ok(Ok(())),
                Ok(Seen::Conflict(conflict)) => Ok(Err(conflict)),
                Ok(Seen::Free | Seen::Unclear) | Err(_) => Err(unclear(&failed)),
            };
        }
    }

    /// A write as Firestore takes it.
    fn google_write(&self, write: &Write, commit: &str) -> anyhow::Result<google::Write> {
        let key = write.key();
        let (name, indexed) = (self.name(key), self.collections.fields(key.collection)?);
        let (condition, commits) = match write {
            Write::Create(..) => (ConditionType::Exists(false), commit.to_owned()),
            Write::Replace(_, _, version) | Write::Delete(_, version) => {
                let read = Written::read(version)?;
                (ConditionType::UpdateTime(read.time), read.followed_by(commit))
            }
        };
        let operation = match write {
            Write::Delete(..) => Operation::Delete(name),
            Write::Create(_, body) | Write::Replace(_, body, _) => {
                let fields = values::fields(body, indexed, commits)?;
                Operation::Update(google::Document { name, fields, ..google::Document::default() })
            }
        };
        Ok(google::Write {
            current_document: Some(Precondition { condition_type: Some(condition) }),
            operation: Some(operation),
            ..google::Write::default()
        })
    }

    /// Reads the documents of a commit, to learn what became of it.
    async fn look(&self, writes: &[Write], commit: &str, unanswered: bool) -> anyhow::Result<Seen> {
        let names = writes.iter().map(|write| self.name(write.key())).collect();
        let found = self.documents(names, Some(COMMITS)).await?;
        let standing: HashMap<_, _> = found
            .into_iter()
            .map(|it| Written::of(&it).map(|written| (it.name, written)))
            .collect::<anyhow::Result<_>>()?;
        judge(writes, commit, unanswered, |write| standing.get(&self.name(write.key())))
    }
}

/// What the documents of a commit tell about it, given what stands where it
/// would have written.
fn judge<'s>(
    writes: &[Write],
    commit: &str,
    unanswered: bool,
    standing: impl Fn(&Write) -> Option<&'s Written>,
) -> anyhow::Result<Seen> {
    if writes.iter().any(|write| standing(write).is_some_and(|it| it.is_by(commit))) {
        return Ok(Seen::Made);
    }
    // Where a document isn't as supposed, and whether one tells that ours wrote nothing.
    let (mut wrong, mut proven) = (None, !unanswered);
    for write in writes {
        let supposed = match write {
            Write::Create(..) => standing(write).is_none(),
            Write::Replace(_, _, version) | Write::Delete(_, version) => {
                let read = Written::read(version)?;
                proven |= standing(write).is_some_and(|it| it.follows(&read));
                standing(write).is_some_and(|it| it.time == read.time)
            }
        };
        if !supposed {
            wrong = wrong.or(Some(write));
        }
    }
    Ok(match wrong {
        None => Seen::Free,
        Some(_) if !proven => Seen::Unclear,
        Some(write) => Seen::Conflict(Conflict(write.key().clone())),
    })
}

/// The conflict of a commit with one write, if what failed is its precondition.
fn of_one(writes: &[Write], failed: &Failed) -> Option<Conflict> {
    let [write] = writes else { return None };
    let codes: &[Code] = match write {
        Write::Create(..) => &[Code::AlreadyExists],
        Write::Replace(..) | Write::Delete(..) => &[Code::FailedPrecondition, Code::NotFound],
    };
    failed.is(codes).then(|| Conflict(write.key().clone()))
}

fn unclear(failed: &Failed) -> anyhow::Error {
    Unreachable(format!("whether the commit was made can't be known: {failed}")).into()
}

#[cfg(test)]
mod tests {
    use gcloud_sdk::prost_types::Timestamp;
    use runtime::Key;

    use super::*;

    fn key(id: &str) -> Key {
        Key { collection: "things", id: id.to_owned() }
    }

    /// What was written by these commits, `read` being that of the version that was read.
    fn written(commits: &str) -> Written {
        let seconds = if commits == "read" { 1 } else { 2 };
        let commits = commits.split(' ').map(str::to_owned).collect();
        Written { time: Timestamp { seconds, nanos: 0 }, commits }
    }

    /// Creates `new`, replaces `old` and deletes `gone`.
    fn writes() -> [Write; 3] {
        let read = written("read").version();
        [
            Write::Create(key("new"), "{}".to_owned()),
            Write::Replace(key("old"), "{}".to_owned(), read.clone()),
            Write::Delete(key("gone"), read),
        ]
    }

    /// What is seen where the three stand as these commits wrote them.
    fn seen(writes: &[Write], unanswered: bool, standing: [Option<&str>; 3]) -> Seen {
        let ids = ["new", "old", "gone"].into_iter();
        let standing: HashMap<_, _> =
            ids.zip(standing).filter_map(|(id, it)| Some((id, written(it?)))).collect();
        let at = |write: &Write| standing.get(write.key().id.as_str());
        judge(writes, "ours", unanswered, at).unwrap()
    }

    fn conflict(id: &str) -> Seen {
        Seen::Conflict(Conflict(key(id)))
    }

    #[test]
    fn what_one_of_its_documents_tells_holds_for_all() {
        let commit = writes();
        let all = |standing| seen(&commit, true, standing);
        assert_eq!(all([Some("ours"), Some("ours read"), None]), Seen::Made);
        assert_eq!(all([None, Some("more theirs ours read"), None]), Seen::Made);
        assert_eq!(all([Some("theirs ours"), None, Some("theirs")]), Seen::Made);
        assert_eq!(all([None, Some("read"), Some("read")]), Seen::Free);
        assert_eq!(all([Some("theirs"), Some("read"), None]), conflict("new"));
        assert_eq!(all([None, Some("more theirs read"), None]), conflict("old"));
        assert_eq!(all([Some("theirs"), None, Some("theirs read")]), conflict("new"));
        assert_eq!(all([Some("theirs"), Some("more theirs"), None]), Seen::Unclear);
        assert_eq!(all([None, None, None]), Seen::Unclear);
    }

    #[test]
    fn an_answered_commit_that_was_refused_was_not_made() {
        let commit = writes();
        let all = |standing| seen(&commit, false, standing);
        assert_eq!(all([Some("theirs"), Some("theirs"), None]), conflict("new"));
        assert_eq!(all([None, None, None]), conflict("old"));
        assert_eq!(all([None, Some("read"), None]), conflict("gone"));
        assert_eq!(all([None, Some("read"), Some("read")]), Seen::Free);
    }

    #[test]
    fn what_only_creates_or_deletes_can_leave_nothing_behind_to_tell() {
        let commit = writes();
        assert_eq!(seen(&commit[..1], true, [Some("theirs"), None, None]), Seen::Unclear);
        assert_eq!(seen(&commit[2..], true, [None, None, None]), Seen::Unclear);
        assert_eq!(seen(&commit[2..], true, [None, None, Some("theirs")]), Seen::Unclear);
        assert_eq!(seen(&commit[2..], true, [None, None, Some("theirs read")]), conflict("gone"));
        assert_eq!(seen(&commit[2..], true, [None, None, Some("read")]), Seen::Free);
    }
}
