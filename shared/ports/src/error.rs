//! What a port answers when it cannot.

/// The kind of a [`PortError`]; it says whether a retry makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortErrorKind {
    /// The backend refuses for now (down, overloaded, throttled). Retry later.
    Unavailable,
    /// No answer in time: the effect is **unknown**. Retry only what is idempotent.
    Timeout,
    /// A uniqueness rule refused a write; nothing was written. Read again, then retry.
    Conflict,
    /// The backend refuses this request (too large, not allowed). A retry gives the same.
    Rejected,
    /// What was read cannot be understood. A retry gives the same.
    Corrupt,
}

/// A port's failure. The detail is for logs, never for clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{port}: {detail}")]
pub struct PortError {
    /// What went wrong.
    pub kind: PortErrorKind,
    /// Which port: `kv`, `queue`, `log`, `registry`, `sql`, `http`.
    pub port: &'static str,
    /// The backend's own words.
    pub detail: String,
}

impl PortError {
    /// An error of `kind` at `port`.
    pub fn new(kind: PortErrorKind, port: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            port,
            detail: detail.into(),
        }
    }

    /// The backend is down or overloaded.
    pub fn unavailable(port: &'static str, detail: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Unavailable, port, detail)
    }

    /// What was read cannot be understood.
    pub fn corrupt(port: &'static str, detail: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Corrupt, port, detail)
    }
}
