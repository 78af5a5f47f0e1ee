//! Where a request goes: the routes of the document that API Gateway reads.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::layout::{Invoker, Manifest};

/// The routes.
#[derive(Debug)]
pub(super) struct Routes(Vec<Path>);

/// A path, with what its methods lead to.
#[derive(Debug)]
struct Path {
    template: String,
    methods: BTreeMap<String, Backend>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    /// The function, by its service's name.
    pub function: String,
    /// Whether everyone may ask; otherwise it takes an access token.
    pub is_open: bool,
    /// How long the answer may take.
    pub deadline: Duration,
}

/// Why a request goes nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// There's no such path.
    NoPath,
    /// There is, but it takes other methods: these.
    NotThisMethod(String),
}

#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(rename = "x-google-api-management")]
    management: Management,
}

#[derive(Deserialize)]
struct Management {
    backends: BTreeMap<String, Deadline>,
}

#[derive(Deserialize)]
struct Deadline {
    deadline: f64,
}

#[derive(Deserialize)]
struct Operation {
    #[serde(rename = "x-google-backend")]
    backend: String,
    security: Option<Vec<Value>>,
}

/// How long a document that everyone may read may take: it has no entry in the gateway's.
const DOCUMENT_WITHIN: Duration = Duration::from_secs(40);

impl Routes {
    /// The routes of the document, and those of what Cloud Run serves to everyone beside it.
    pub fn of(document: Value, manifest: &Manifest) -> anyhow::Result<Self> {
        let document: Document =
            serde_json::from_value(document).context("reading the gateway's document")?;
        let mut paths = Vec::new();
        for (template, operations) in document.paths {
            let mut methods = BTreeMap::new();
            for (method, operation) in operations {
                let method = method.to_ascii_uppercase();
                if !matches!(&*method, "GET" | "POST" | "PATCH" | "DELETE" | "PUT" | "OPTIONS") {
                    continue; // What all operations of a path have in common.
                }
                let operation: Operation = serde_json::from_value(operation)
                    .with_context(|| format!("reading {method} {template}"))?;
                let backend = document.management.backends.get(&operation.backend);
                let deadline = backend.with_context(|| format!("no {}", operation.backend))?;
                let backend = Backend {
                    function: operation.backend,
                    is_open: operation.security.is_some_and(|it| it.is_empty()),
                    deadline: Duration::from_secs_f64(deadline.deadline),
                };
                methods.insert(method, backend);
            }
            paths.push(Path { template, methods });
        }
        for (name, function) in &manifest.functions {
            let Some(http) = &function.http else { continue };
            if function.invoker == Invoker::Everyone {
                let (function, is_open) = (name.clone(), true);
                let backend = Backend { function, is_open, deadline: DOCUMENT_WITHIN };
                let methods = [(http.method.clone(), backend)].into();
                paths.push(Path { template: http.path.clone(), methods });
            }
        }
        // A word before a parameter at the same place: the first that matches counts.
        paths.sort_by_key(|path| path.template.replace('{', "~"));
        Ok(Self(paths))
    }

    /// Where a request goes.
    pub fn find(&self, method: &str, path: &str) -> Result<&Backend, Nowhere> {
        let found = self.0.iter().find(|it| it.matches(path)).ok_or(Nowhere::NoPath)?;
        found.methods.get(method).ok_or_else(|| {
            let allowed: Vec<_> = found.methods.keys().map(String::as_str).collect();
            Nowhere::NotThisMethod(allowed.join(", "))
        })
    }
}

impl Path {
    fn matches(&self, path: &str) -> bool {
        let (mut wanted, mut there) = (self.template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), there.next()) {
                (None, None) => return true,
                (Some(wanted), Some(there)) if wanted.starts_with('{') && !there.is_empty() => {}
                (Some(wanted), Some(there)) if wanted == there => {}
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::Trigger;

    use super::*;

    fn routes() -> Routes {
        let domains = crate::domains();
        let document = runtime::openapi::gateway("Aula", &domains);
        Routes::of(document, &Manifest::of(&domains).unwrap()).unwrap()
    }

    #[test]
    fn every_public_operation_is_found_and_nothing_internal() {
        let (routes, mut public) = (routes(), 0);
        for function in crate::domains().iter().flat_map(|it| &it.functions) {
            let Trigger::Http(operation) = &function.trigger else { continue };
            let path = operation.route.path.replace('{', "a").replace('}', "b");
            let found = routes.find(operation.route.method.as_str(), &path);
            if operation.route.is_internal() {
                assert_eq!(found, Err(Nowhere::NoPath), "{path}");
            } else {
                let name = runtime::service_name(&function.id);
                assert_eq!(found.map(|it| it.function.clone()), Ok(name), "{path}");
                public += 1;
            }
        }
        assert!(public > 25);
    }

    #[test]
    fn a_path_is_matched_segment_by_segment() {
        let routes = routes();
        let function = |method, path| routes.find(method, path).map(|it| it.function.as_str());
        assert_eq!(function("GET", "/v1/courses/c1"), Ok("courses-get"));
        assert_eq!(function("GET", "/v1/courses"), Ok("courses-list"));
        assert_eq!(function("POST", "/v1/codes/redeem"), Ok("identity-redeem-code"));
        for path in ["/", "/v1/courses/", "/v1/courses/a/b", "/v1//courses", "/v2/courses"] {
            assert_eq!(function("GET", path), Err(Nowhere::NoPath), "{path}");
        }
        let others = Nowhere::NotThisMethod("GET, OPTIONS, POST".to_owned());
        assert_eq!(function("DELETE", "/v1/courses"), Err(others));
    }

    #[test]
    fn what_takes_a_token_is_told_from_what_does_not() {
        let routes = routes();
        assert!(routes.find("GET", "/v1/courses").unwrap().is_open);
        assert!(!routes.find("POST", "/v1/courses").unwrap().is_open);
        assert!(routes.find("OPTIONS", "/v1/enrollments").unwrap().is_open);
        assert!(!routes.find("GET", "/v1/users/me").unwrap().is_open);
    }
}
