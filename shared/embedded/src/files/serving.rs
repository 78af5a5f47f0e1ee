//! `/local/files/…`: where the links of [`LocalFiles`] lead.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
    routing::any,
};
use contracts::{Code, Language, Problem, ProblemDetails};
use futures_util::{StreamExt as _, TryStreamExt as _};
use percent_encoding::percent_decode_str;
use runtime::{
    FileError, FileInfo, FileName,
    files::{
        Expected, FILE_CHANGED, FILE_EXISTS, INVALID_FILE, MediaType, NO_SUCH_FILE, NewFile,
        header::{GENERATION, SIZES},
    },
    problems::{INTERNAL, METHOD_NOT_ALLOWED, UNAVAILABLE},
};

use super::{LocalFiles, PATH, Untaken, outgoing, range::Asked, signature::Query};

const INVALID_LINK: Problem = Problem::denied(
    "invalid-file-link",
    "This link isn't for this request: it must be sent exactly as it was given.",
    "Este enlace no es para esta solicitud: debe enviarse exactamente como se dio.",
);

const EXPIRED_LINK: Problem = Problem::denied(
    "expired-file-link",
    "This link doesn't work any more; ask for another.",
    "Este enlace ya no funciona; pide otro.",
);

const TOO_LARGE: Problem = Problem::new(
    Code::TooLarge,
    "file-too-large",
    "The file is larger than the link allows.",
    "El archivo es mayor de lo que permite el enlace.",
);

const TOO_SMALL: Problem = Problem::invalid(
    "file-too-small",
    "The file is smaller than the link allows.",
    "El archivo es menor de lo que permite el enlace.",
);

const BROKEN_OFF: Problem = Problem::invalid(
    "file-incomplete",
    "The file didn't arrive completely.",
    "El archivo no llegó completo.",
);

const NO_SUCH_PART: Problem = Problem::invalid(
    "no-such-part",
    "The file has no such bytes.",
    "El archivo no tiene esos bytes.",
);

impl LocalFiles {
    /// What answers the links. A body may have any size, so this stands beside
    /// what limits it.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/local/files/{*name}", any(answer)).with_state(self.clone())
    }
}

async fn answer(State(files): State<Arc<LocalFiles>>, request: Request) -> Response {
    let language = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok());
    let language = language.map(Language::accepted).unwrap_or_default();
    let (request, body) = request.into_parts();
    let answered = match request.method {
        Method::PUT => files.put(&request, body).await,
        Method::GET => files.get(&request).await,
        _ => Err(METHOD_NOT_ALLOWED.into()),
    };
    answered.unwrap_or_else(|refused| refused.into_response(language))
}

impl LocalFiles {
    /// The name of a request's file and what its query says, if the link is good.
    fn admit(
        &self,
        request: &Parts,
        headers: &BTreeMap<String, String>,
    ) -> Result<(FileName, Query), Refused> {
        let name = request.uri.path().strip_prefix(PATH).unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8().ok();
        let name = name.and_then(|name| FileName::parse(name).ok()).ok_or(INVALID_LINK)?;
        let query = Query::parse(request.uri.query().unwrap_or_default()).ok_or(INVALID_LINK)?;
        if !query.is_ours(&self.secret, request.method.as_str(), &name, headers) {
            return Err(INVALID_LINK.into());
        }
        let is_over = self.clock.now() >= query.expires_at;
        if is_over { Err(EXPIRED_LINK.into()) } else { Ok((name, query)) }
    }

    async fn put(&self, request: &Parts, body: Body) -> Result<Response, Refused> {
        let headers = signed_headers(&request.headers)?;
        let (name, _) = self.admit(request, &headers)?;
        let upload = Asking::read(name, &headers).ok_or(INVALID_LINK)?;
        upload.check_declared(&request.headers)?;
        let content = body.into_data_stream();
        let content = content.map_err(std::io::Error::other).boxed();
        let info = self.take(&upload.file, upload.sizes, content).await?;
        let mut response = Response::new(Body::empty());
        describe(response.headers_mut(), &info);
        Ok(response)
    }

    async fn get(&self, request: &Parts) -> Result<Response, Refused> {
        let (name, query) = self.admit(request, &BTreeMap::new())?;
        let parameter = |name: &str| query.parameters.get(name);
        let generation = parameter("generation").and_then(|it| it.parse().ok());
        let folder = self.folder().await?;
        let file = outgoing::open(folder, &name, generation).await?.ok_or(NO_SUCH_FILE)?;
        let info = file.info.clone();

        let asked = request.headers.get(header::RANGE).and_then(|it| it.to_str().ok());
        let (status, size, content) = match Asked::parse(asked.unwrap_or_default(), info.size) {
            Asked::Beyond => return Err(Refused::without_part(info.size)),
            Asked::Whole => (StatusCode::OK, info.size, file.whole()),
            Asked::Part(part) => {
                let told = format!("bytes {}-{}/{}", part.start, part.end - 1, info.size);
                let size = part.end - part.start;
                let content = file.part(part).await.map_err(anyhow::Error::from)?;
                let response = self::content(StatusCode::PARTIAL_CONTENT, size, content);
                return Ok(shown(response, &info, &query, Some(told)));
            }
        };
        Ok(shown(self::content(status, size, content), &info, &query, None))
    }
}

fn content(status: StatusCode, size: u64, content: runtime::files::Content) -> Response {
    let mut response = Response::new(Body::from_stream(content));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
    response
}

/// A content with all that is said of it.
fn shown(mut response: Response, info: &FileInfo, query: &Query, part: Option<String>) -> Response {
    let headers = response.headers_mut();
    describe(headers, info);
    let parameter = |name: &str| query.parameters.get(name).cloned();
    let media_type = parameter("response-content-type").unwrap_or(info.media_type.clone());
    let disposition = parameter("response-content-disposition");
    let said = [
        (header::CONTENT_TYPE, Some(media_type)),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_RANGE, part),
    ];
    for (name, value) in said {
        if let Some(value) = value.and_then(|it| HeaderValue::try_from(it).ok()) {
            headers.insert(name, value);
        }
    }
    // What people have sent is shown under the platform's own address here: it
    // mustn't run there as a page of ours would.
    for (name, value) in [
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "private, no-store"),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Which file it is.
fn describe(headers: &mut HeaderMap, info: &FileInfo) {
    const GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");
    headers.insert(GENERATION, info.generation.number().into());
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", info.generation)) {
        headers.insert(header::ETAG, etag);
    }
}

/// The headers of an upload that a link's signature is about, as they were sent.
fn signed_headers(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refused> {
    let mut signed = BTreeMap::new();
    for name in [header::CONTENT_TYPE.as_str(), SIZES, GENERATION] {
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { continue };
        let value = value.to_str().ok().filter(|_| values.next().is_none());
        signed.insert(name.to_owned(), value.ok_or(INVALID_LINK)?.to_owned());
    }
    Ok(signed)
}

/// What an upload is to be.
struct Asking {
    file: NewFile,
    sizes: RangeInclusive<u64>,
}

impl Asking {
    /// Reads what was signed.
    fn read(name: FileName, headers: &BTreeMap<String, String>) -> Option<Self> {
        let media_type = MediaType::parse(headers.get("content-type")?.as_str()).ok()?;
        let (least, most) = headers.get(SIZES)?.split_once(',')?;
        let sizes = least.parse().ok()?..=most.parse().ok()?;
        let expected = match headers.get(GENERATION).map(String::as_str) {
            None => Expected::Anything,
            Some("0") => Expected::Absent,
            Some(generation) => Expected::At(generation.parse().ok()?),
        };
        Some(Self { file: NewFile { name, media_type, expected }, sizes })
    }

    /// Refuses what says by itself that it's too large or too small.
    fn check_declared(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok());
        match declared.and_then(|it| it.parse::<u64>().ok()) {
            Some(size) if size > *self.sizes.end() => Err(TOO_LARGE.into()),
            Some(size) if size < *self.sizes.start() => Err(TOO_SMALL.into()),
            _ => Ok(()),
        }
    }
}

/// Why a link's request isn't answered with a file.
struct Refused {
    problem: Problem,
    status: StatusCode,
    /// What a part can't be had of.
    size: Option<u64>,
}

impl Refused {
    fn of(problem: Problem, status: StatusCode) -> Self {
        Self { problem, status, size: None }
    }

    fn without_part(size: u64) -> Self {
        Self { size: Some(size), ..Self::of(NO_SUCH_PART, StatusCode::RANGE_NOT_SATISFIABLE) }
    }

    fn into_response(self, language: Language) -> Response {
        let details = ProblemDetails {
            kind: format!("/problems/{}", self.problem.reason),
            title: self.problem.title(language).to_owned(),
            status: self.status.as_u16(),
            reason: self.problem.reason.to_owned(),
            ..ProblemDetails::default()
        };
        let details = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = Response::new(Body::from(Bytes::from(details)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        let size = self.size.map(|size| HeaderValue::try_from(format!("bytes */{size}")));
        if let Some(Ok(size)) = size {
            headers.insert(header::CONTENT_RANGE, size);
        }
        response
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.code.status());
        Self::of(problem, status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        FileError::from(error).into()
    }
}

impl From<FileError> for Refused {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Invalid(_) => INVALID_FILE.into(),
            FileError::Missing => NO_SUCH_FILE.into(),
            // As Cloud Storage answers it.
            FileError::Exists => Self::of(FILE_EXISTS, StatusCode::PRECONDITION_FAILED),
            FileError::Changed => Self::of(FILE_CHANGED, StatusCode::PRECONDITION_FAILED),
            FileError::Unavailable(_) => UNAVAILABLE.into(),
            FileError::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "a file can't be served");
                INTERNAL.into()
            }
        }
    }
}

impl From<Untaken> for Refused {
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::TooLarge => TOO_LARGE.into(),
            Untaken::TooSmall => TOO_SMALL.into(),
            Untaken::BrokenOff(_) => BROKEN_OFF.into(),
            Untaken::Refused(error) => error.into(),
        }
    }
}
