//! HTTP, as all functions speak it: paths on a shared origin, answers, error bodies, CORS, conditional GET, callers.
//!
//! Pure: requests in, responses out. The one place where error bodies and common headers are made.

mod accept;
mod answer;
mod client;
mod cors;
mod dates;
mod principal;
mod request;

pub use accept::preferred;
pub use answer::{
    ErrorBody, common_headers, empty, error, info, json, large_json, method_not_allowed, not_found,
    not_modified, readiness, retry_after, text, unavailable, with_etag,
};
pub use client::client_address;
pub use cors::with_credentials;
pub use dates::{http_date, unchanged, with_last_modified};
pub use principal::{Access, Principal, admin_only};
pub use request::{Routed, decode_segment, query, query_value, route};

/// A whole request: the shim has read the body, up to one byte past the function's limit.
pub type Request = http::Request<bytes::Bytes>;

/// An answer.
pub type Response = http::Response<eventstar_ports::Body>;
