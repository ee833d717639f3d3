//! What JavaScript throws, as port errors.

use eventstar_ports::{PortError, PortErrorKind};
use worker::js_sys::Reflect;
use worker::wasm_bindgen::JsValue;

/// The text of what was thrown.
pub(crate) fn text(thrown: JsValue) -> String {
    worker::Error::from(thrown).to_string()
}

/// Says why SQLite refused.
pub(crate) fn sql(thrown: JsValue) -> PortError {
    let detail = text(thrown);
    PortError::new(sql_kind(&detail), "sql", detail)
}

fn sql_kind(detail: &str) -> PortErrorKind {
    if detail.contains("UNIQUE constraint failed") {
        PortErrorKind::Conflict
    } else if [
        "SQLITE_ERROR",
        "SQLITE_TOOBIG",
        "SQLITE_CONSTRAINT",
        "SQLITE_MISMATCH",
    ]
    .iter()
    .any(|code| detail.contains(code))
    {
        PortErrorKind::Rejected
    } else if detail.contains("SQLITE_CORRUPT") {
        PortErrorKind::Corrupt
    } else {
        PortErrorKind::Unavailable
    }
}

/// Says why a Durable Object could not be asked. Unless the runtime says that it refused the request at the door,
/// the object may have done the work before the answer was lost.
pub(crate) fn object(port: &'static str, thrown: JsValue) -> PortError {
    let overloaded = Reflect::get(&thrown, &"overloaded".into()).is_ok_and(|flag| flag.is_truthy());
    let kind = if overloaded {
        PortErrorKind::Unavailable
    } else {
        PortErrorKind::Timeout
    };
    PortError::new(kind, port, text(thrown))
}

/// A binding this worker was deployed without.
pub(crate) fn binding(port: &'static str, error: &worker::Error) -> PortError {
    PortError::new(
        PortErrorKind::Rejected,
        port,
        format!("{error}: add the binding to wrangler.toml"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_errors_say_whether_to_retry() {
        for (detail, kind) in [
            (
                "Error: UNIQUE constraint failed: chunk.base: SQLITE_CONSTRAINT",
                PortErrorKind::Conflict,
            ),
            (
                "Error: NOT NULL constraint failed: chunk.base: SQLITE_CONSTRAINT",
                PortErrorKind::Rejected,
            ),
            (
                "Error: string or blob too big: SQLITE_TOOBIG",
                PortErrorKind::Rejected,
            ),
            (
                "Error: near \"selec\": syntax error at offset 0: SQLITE_ERROR",
                PortErrorKind::Rejected,
            ),
            (
                "Error: database disk image is malformed: SQLITE_CORRUPT",
                PortErrorKind::Corrupt,
            ),
            (
                "Error: database or disk is full: SQLITE_FULL",
                PortErrorKind::Unavailable,
            ),
        ] {
            assert_eq!(sql_kind(detail), kind, "{detail}");
        }
    }
}
