//! The refusals that any operation may answer.

use contracts::{Code, Problem};

/// Declares problems that are shared by all operations.
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $code:ident, $reason:literal, $en:literal, $es:literal;)+) => {
        $($(#[$doc])* pub const $name: Problem = Problem::new(Code::$code, $reason, $en, $es);)+
        /// All of them.
        pub const ALL: &[Problem] = &[$($name),+];
    };
}

problems! {
    /// The request isn't well formed, or breaks a rule of its fields.
    INVALID_REQUEST: InvalidArgument, "invalid-request",
        "The request isn't valid.", "La solicitud no es válida.";
    /// A page token was made for another query, or tampered with.
    INVALID_PAGE_TOKEN: InvalidArgument, "invalid-page-token",
        "The page token isn't of this list.", "El token de página no es de esta lista.";
    /// The idempotency key is missing where seats or money move.
    IDEMPOTENCY_KEY_REQUIRED: InvalidArgument, "idempotency-key-required",
        "This needs an Idempotency-Key header, so that a repeat can't take effect twice.",
        "Esto requiere el encabezado Idempotency-Key, para que repetirlo no surta efecto dos veces.";
    /// The idempotency key isn't one.
    INVALID_IDEMPOTENCY_KEY: InvalidArgument, "invalid-idempotency-key",
        "An Idempotency-Key has 1 to 255 visible ASCII characters.",
        "Un Idempotency-Key tiene de 1 a 255 caracteres ASCII visibles.";
    /// Nobody is signed in, or the token isn't good.
    UNAUTHENTICATED: Unauthenticated, "unauthenticated",
        "Sign in first.", "Inicia sesión primero.";
    /// Someone is signed in who may not do this.
    FORBIDDEN: PermissionDenied, "forbidden",
        "You may not do this.", "No tienes permiso para hacer esto.";
    /// There's nothing at this path.
    NO_SUCH_PATH: NotFound, "no-such-path",
        "There is nothing at this path.", "No hay nada en esta ruta.";
    /// There's something at this path, but not with this method.
    METHOD_NOT_ALLOWED: MethodNotAllowed, "method-not-allowed",
        "This path doesn't take this method.", "Esta ruta no admite este método.";
    /// It changed while the request ran, again and again.
    TRY_AGAIN: Conflict, "try-again",
        "Others keep changing this; try again.", "Otros lo están modificando; inténtalo de nuevo.";
    /// The same request with the same key is still running.
    STILL_RUNNING: Conflict, "still-running",
        "The first request with this key is still running.",
        "La primera solicitud con esta clave aún está en curso.";
    /// It has changed since the caller read it.
    STALE_ETAG: PreconditionFailed, "stale-etag",
        "This has changed since you read it; read it again.",
        "Esto cambió desde que lo leíste; vuelve a leerlo.";
    /// The body is too large.
    TOO_LARGE: TooLarge, "too-large",
        "The request is larger than 1 MiB.", "La solicitud supera 1 MiB.";
    /// The body isn't JSON.
    NOT_JSON: UnsupportedMediaType, "not-json",
        "The body must be application/json.", "El cuerpo debe ser application/json.";
    /// The idempotency key was used for another request.
    KEY_REUSED: KeyReused, "idempotency-key-reused",
        "This Idempotency-Key was used for another request.",
        "Este Idempotency-Key ya se usó para otra solicitud.";
    /// The caller must say which version they saw.
    ETAG_REQUIRED: PreconditionRequired, "etag-required",
        "Say which version you change: send its etag as If-Match.",
        "Indica qué versión cambias: envía su etag en If-Match.";
    /// The caller asks too often.
    TOO_MANY_REQUESTS: TooManyRequests, "too-many-requests",
        "Too many requests; wait a little.", "Demasiadas solicitudes; espera un momento.";
    /// Something went wrong on our side.
    INTERNAL: Internal, "internal",
        "Something went wrong on our side.", "Algo falló de nuestro lado.";
    /// The platform can't just now.
    UNAVAILABLE: Unavailable, "unavailable",
        "The platform can't do this just now; try again soon.",
        "La plataforma no puede hacerlo ahora; inténtalo pronto.";
    /// It took too long.
    DEADLINE_EXCEEDED: DeadlineExceeded, "deadline-exceeded",
        "This took too long; it may or may not have taken effect.",
        "Esto tardó demasiado; puede que haya surtido efecto o no.";
}
