//! The parameters of a request.

use std::collections::HashSet;

use eventstar_http_api::{Request, query};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::ApiError;

/// How much more users with the right `apihighlimits` might ask for, which errors tell: MediaWiki's `LIMIT_SML2`.
const HIGH_LIMIT: usize = 500;

/// Parameters of every action, which make no difference here or are acted on; all others are warned of.
const COMMON: [&str; 11] = [
    "action",
    "errorformat",
    "format",
    "formatversion",
    "maxage",
    "maxlag",
    "origin",
    "smaxage",
    "uselang",
    "utf8",
    "variant",
];

/// The parameters of a request; of those given twice the last counts, as in PHP.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those of the query and of a form.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let mut all = query(request.uri());
        let form = request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        if form {
            all.extend(form_urlencoded::parse(request.body()).into_owned());
        }
        Self(all)
    }

    /// A parameter's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that takes several, at most `most`, with `|` between, or U+001F where it begins with that.
    ///
    /// # Errors
    /// More than `most`.
    pub fn list(&self, name: &str, most: usize) -> Result<Option<Vec<String>>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let (value, separator) = match value.strip_prefix('\u{1f}') {
            Some(rest) => (rest, '\u{1f}'),
            None => (value, '|'),
        };
        if value.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let values: Vec<String> = value.split(separator).map(str::to_owned).collect();
        if values.len() <= most {
            return Ok(Some(values));
        }
        let info = format!("Too many values supplied for parameter \"{name}\". The limit is {most}.");
        let mut error = ApiError::new("toomanyvalues", info);
        let members = json!({"parameter": name, "limit": most, "lowlimit": most, "highlimit": HIGH_LIMIT});
        error
            .more
            .extend(members.as_object().cloned().unwrap_or_default());
        Err(error)
    }

    /// What `warnings.main` says of parameters that are neither common nor among the action's `own`; `None` without any.
    #[must_use]
    pub fn warning(&self, own: &[&str]) -> Option<Value> {
        let mut seen = HashSet::new();
        let names: Vec<&str> = self
            .0
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !COMMON.contains(name) && !own.contains(name) && seen.insert(*name))
            .collect();
        let plural = if names.len() > 1 { "s" } else { "" };
        let text = format!("Unrecognized parameter{plural}: {}.", names.join(", "));
        (!names.is_empty()).then(|| json!({"warnings": text}))
    }
}
