//! The origin under test.

use std::env;
use std::path::PathBuf;

use crate::http::{Answer, Origin, Request};

/// An origin with the tokens that open it.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Where requests go.
    pub origin: Origin,
    /// The admin token.
    pub admin_token: String,
    /// A producer token that is good for `shop.refund`.
    pub producer_token: String,
}

impl Instance {
    /// The origin the environment names.
    ///
    /// # Panics
    /// When it names none: a suite without anything to test must not pass.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            origin: Origin::parse(&setting("EVENTSTAR_BASE_URL")),
            admin_token: setting("EVENTSTAR_ADMIN_TOKEN"),
            producer_token: setting("EVENTSTAR_PRODUCER_TOKEN"),
        }
    }

    /// Sends a request.
    #[must_use]
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        self.origin.send(request)
    }

    /// `GET path`.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send(&Request::get(path))
    }

    /// Posts a body of JSON to `/v1/events`.
    #[must_use]
    #[track_caller]
    pub fn post(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.send(&Request::post_json("/v1/events", body))
    }

    /// Posts events that must be accepted, as one array.
    #[track_caller]
    pub fn produce(&self, events: &[String]) {
        let answer = self.post(crate::events::array(events)).expect(201);
        assert_eq!(answer.text(), "", "the body of 201");
    }

    /// Sends a request with the admin token.
    #[must_use]
    #[track_caller]
    pub fn admin(&self, request: Request) -> Answer {
        self.send(&request.bearer(&self.admin_token))
    }
}

/// A variable that `cargo xtask test` sets.
///
/// # Panics
/// When it is not set.
#[must_use]
pub fn setting(name: &str) -> String {
    match env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "{name} is not set: these suites need a running origin, so run them with `cargo xtask test`, which \
             starts one and sets it"
        ),
    }
}

/// The top of the repository: cargo runs the tests of a package in its folder.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = env::current_dir().expect("a current folder");
    tests.parent().expect("tests/ lies in the repository").to_owned()
}

/// The folder of real schemas and events beside the repository; `None`, with a line that says so, when it is not there.
#[must_use]
pub fn shared_data() -> Option<PathBuf> {
    shared("data")
}

/// A folder of `shared` beside the repository; `None`, with a line that says so, when it is not there.
#[must_use]
pub fn shared(name: &str) -> Option<PathBuf> {
    let folder = repository().parent()?.join("shared").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: nothing at {}", folder.display());
    None
}
