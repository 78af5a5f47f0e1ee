//! `GET /problems/{reason}`: what a refusal means. Its `type` leads here.

use std::{collections::BTreeSet, fmt::Write as _};

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use contracts::Problem;
use runtime::Trigger;

use super::{PLAIN_POLICY, page};
use crate::documented;

pub(super) fn router() -> Router {
    Router::new()
        .route("/problems/{reason}", get(async |Path(reason): Path<String>| meaning(&reason)))
}

fn meaning(reason: &str) -> Response {
    let domains = documented();
    let operations =
        domains.iter().flat_map(|domain| &domain.functions).filter_map(|function| match &function
            .trigger
        {
            Trigger::Http(operation) => Some((function.id.as_str(), operation.problems)),
            _ => None,
        });
    let named = |problem: &&Problem| problem.reason == reason;
    let anywhere = runtime::problems::ALL.iter().find(named).copied();
    let mut answered_by = BTreeSet::new();
    let mut found = anywhere;
    for (id, problems) in operations {
        if let Some(problem) = problems.iter().find(named) {
            found = Some(*problem);
            answered_by.insert(id);
        }
    }
    let Some(problem) = found else {
        let nothing = page("No such problem", "<h1>There is no such problem.</h1>", PLAIN_POLICY);
        return (StatusCode::NOT_FOUND, nothing).into_response();
    };
    let Problem { en, es, .. } = problem;
    let status = problem.code.status();
    let mut body =
        format!("<h1><code>{reason}</code></h1>\n<p>{en}</p>\n<p lang=\"es\">{es}</p>\n");
    let _ = writeln!(body, "<p>HTTP status {status}.</p>");
    if anywhere.is_some() {
        body.push_str("<p>Any operation may answer it.</p>");
    } else {
        body.push_str("<p>Answered by:</p>\n<ul>");
        for id in answered_by {
            let _ = write!(body, "<li><code>{id}</code></li>");
        }
        body.push_str("</ul>");
    }
    page(reason, &body, PLAIN_POLICY)
}
