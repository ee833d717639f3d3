//! Requests to other servers.

use std::time::Duration;

use bytes::Bytes;

use crate::PortError;

/// How long an answer may take and how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the request to the last byte of the answer.
    pub timeout: Duration,
    /// Most bytes of the answer's body.
    pub max_bytes: usize,
}

/// Sends requests to other servers.
pub trait HttpClient {
    /// Sends `request`, whose URI is absolute, and returns the whole answer, whatever its status. A redirect is an answer
    /// like any other: nobody but the server that was named is asked.
    ///
    /// # Errors
    /// `Unavailable` when there is no connection or it breaks, `Timeout` when the answer is not whole in time (the effect
    /// is then unknown), `Rejected` when the answer is larger than the limit, or the platform does not let the request out.
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: HttpLimits,
    ) -> Result<http::Response<Bytes>, PortError>;
}

/// The error for an answer that is not whole in time.
#[must_use]
pub fn http_timeout(limits: HttpLimits) -> PortError {
    let detail = format!("no whole answer within {} ms", limits.timeout.as_millis());
    PortError::new(crate::PortErrorKind::Timeout, "http", detail)
}

/// The error for an answer that is too large.
#[must_use]
pub fn http_too_large(limits: HttpLimits) -> PortError {
    let detail = format!("the answer has more than {} bytes", limits.max_bytes);
    PortError::new(crate::PortErrorKind::Rejected, "http", detail)
}
