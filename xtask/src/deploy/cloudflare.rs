//! Cloudflare's API: what a stage has there, and the few changes that wrangler has no command for.

use std::env;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use crate::process;
use crate::project::Project;
use crate::wrangler;

/// Wrangler reads the same variable.
const BASE_URL: &str = "CLOUDFLARE_API_BASE_URL";
const PUBLIC_BASE_URL: &str = "https://api.cloudflare.com/client/v4";
const ACCOUNT: &str = "CLOUDFLARE_ACCOUNT_ID";

/// The API answers in seconds; wrangler gives up after as long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The most entries that every list of the API gives at once.
const PER_PAGE: usize = 50;

/// 10,000 entries: as many queues as an account may have, and ten times its KV namespaces and zones.
const MAX_PAGES: usize = 200;

/// The right of a token that a path needs, as the dashboard names it; the first that fits counts.
const RIGHTS: [(&str, &str); 6] = [
    ("/storage/kv/", "Account › Workers KV Storage › Edit"),
    ("/queues", "Account › Queues › Edit"),
    ("/routes", "Zone › Workers Routes › Edit"),
    ("/workers/", "Account › Workers Scripts › Edit"),
    ("/zones", "Zone › Zone › Read"),
    ("/accounts", "Account › Account Settings › Read"),
];

/// An account of Cloudflare, and a token for it.
#[derive(Debug)]
pub(super) struct Account {
    agent: Agent,
    base_url: String,
    token: Token,
    id: String,
}

struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// An answer of the API.
#[derive(Debug, Deserialize)]
struct Answer {
    success: bool,
    #[serde(default)]
    result: Value,
    result_info: Option<Pages>,
}

#[derive(Debug, Deserialize)]
struct Pages {
    total_pages: Option<usize>,
}

/// The token may not do what was asked.
#[derive(Debug)]
pub(super) struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.0;
        write!(f, "Cloudflare refuses {path} to this API token: {}", advice(path))
    }
}

impl std::error::Error for Forbidden {}

impl Account {
    /// The account that a stage names, else that of `CLOUDFLARE_ACCOUNT_ID`, else the only one of the token.
    pub(super) fn connect(project: &Project, named: Option<&str>) -> Result<Self> {
        let base_url = env::var(BASE_URL).unwrap_or_else(|_| PUBLIC_BASE_URL.to_owned());
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build();
        let mut account = Self {
            agent: agent.into(),
            base_url,
            token: Token(token(project)?),
            id: String::new(),
        };
        let set = env::var(ACCOUNT).ok().filter(|id| !id.is_empty());
        account.id = match (named, set) {
            (Some(named), Some(set)) if named != set => {
                bail!(
                    "the stage is in the account {named}, but {ACCOUNT} is {set}: unset it, or change `account` in the stage's file"
                )
            }
            (Some(named), _) => named.to_owned(),
            (None, Some(set)) => set,
            (None, None) => account.only_one()?,
        };
        Ok(account)
    }

    fn only_one(&self) -> Result<String> {
        let accounts = self.list("/accounts")?;
        let ids: Vec<&str> = accounts
            .iter()
            .filter_map(|account| text(account, "id"))
            .collect();
        match ids.as_slice() {
            [id] => Ok((*id).to_owned()),
            [] => bail!("the API token has no account: set `account` in the stage's file"),
            _ => bail!(
                "the API token has several accounts ({}): set `account` in the stage's file",
                ids.join(", ")
            ),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// A path below the account.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/accounts/{}{rest}", self.id)
    }

    /// The result at a path, unless nothing is there.
    pub(super) fn get(&self, path: &str) -> Result<Option<Value>> {
        let request = self
            .agent
            .get(self.url(path))
            .header("authorization", self.bearer());
        Ok(answer(path, request.call())?.map(|body| body.result))
    }

    /// All entries of a list.
    pub(super) fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        for page in 1..=MAX_PAGES {
            let separator = if path.contains('?') { '&' } else { '?' };
            let url = self.url(&format!("{path}{separator}page={page}&per_page={PER_PAGE}"));
            let request = self.agent.get(url).header("authorization", self.bearer());
            let Some(body) = answer(path, request.call())? else {
                return Ok(entries);
            };
            entries.extend(body.result.as_array().cloned().unwrap_or_default());
            let pages = body.result_info.and_then(|info| info.total_pages);
            if pages.is_none_or(|pages| pages <= page) {
                return Ok(entries);
            }
        }
        bail!(
            "Cloudflare lists more than {} entries at {path}",
            MAX_PAGES * PER_PAGE
        )
    }

    /// Creates something, and gives it.
    pub(super) fn create(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self
            .agent
            .post(self.url(path))
            .header("authorization", self.bearer());
        let answered = request
            .header("content-type", "application/json")
            .send(body.to_string());
        let created = answer(path, answered)?;
        created
            .map(|body| body.result)
            .with_context(|| format!("Cloudflare knows no {path}"))
    }

    /// Deletes something; it may be gone already.
    pub(super) fn delete(&self, path: &str) -> Result<()> {
        let request = self
            .agent
            .delete(self.url(path))
            .header("authorization", self.bearer());
        answer(path, request.call()).map(drop)
    }

    /// Runs wrangler in this account, and reads what it refuses.
    pub(super) fn run(&self, command: &mut Command, input: &str) -> Result<()> {
        command
            .env(ACCOUNT, &self.id)
            .env("CLOUDFLARE_API_TOKEN", &self.token.0);
        let output = process::capture_with_input(command, input)?;
        if output.status.success() {
            return Ok(());
        }
        let said = process::texts(&output);
        bail!("wrangler failed:\n{}\n{}", said.trim(), wrangler_advice(&said))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.0)
    }
}

/// `CLOUDFLARE_API_TOKEN`, else that of `wrangler login`.
fn token(project: &Project) -> Result<String> {
    if let Some(token) = env::var("CLOUDFLARE_API_TOKEN")
        .ok()
        .filter(|token| !token.is_empty())
    {
        return Ok(token);
    }
    let answer = process::output(wrangler::command(project)?.args(["auth", "token", "--json"]));
    let token = answer
        .ok()
        .and_then(|answer| serde_json::from_str(&answer).ok())
        .and_then(|answer: Value| text(&answer, "token").map(str::to_owned));
    token.context("nobody is logged in to Cloudflare: set CLOUDFLARE_API_TOKEN, or run `npx wrangler login`")
}

/// The body of a good answer; nothing for 404.
fn answer(path: &str, answered: Result<Response<Body>, ureq::Error>) -> Result<Option<Answer>> {
    let mut answered = answered.with_context(|| format!("Cloudflare does not answer {path}"))?;
    let status = answered.status();
    let said = answered.body_mut().read_to_string().unwrap_or_default();
    let body: Option<Answer> = serde_json::from_str(&said).ok();
    match (status, body) {
        (_, Some(body)) if status.is_success() && body.success => Ok(Some(body)),
        (StatusCode::NOT_FOUND, _) => Ok(None),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Err(Forbidden(path.to_owned()).into()),
        _ => bail!("Cloudflare answers {path} with {status}: {said}"),
    }
}

/// The member of a JSON object, where it is a text.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

fn advice(path: &str) -> String {
    let right = RIGHTS.iter().find(|(part, _)| path.contains(part));
    let right = right.map_or("for this", |(_, right)| right);
    format!(
        "it lacks the right \"{right}\" (or is not valid). Give it the right at https://dash.cloudflare.com/profile/api-tokens, and run the same command again"
    )
}

/// The way out of a failure of wrangler.
fn wrangler_advice(said: &str) -> String {
    let path = said
        .split_once("A request to the Cloudflare API (")
        .and_then(|(_, rest)| rest.split_once(')'));
    match path {
        // 10000 and 9109 are the API's codes for a token that may not. Of routes and consumers wrangler gives no code.
        Some((path, _))
            if !said.contains("code: ") || said.contains("code: 10000") || said.contains("code: 9109") =>
        {
            format!("If Cloudflare refuses {path} to this API token, {}", advice(path))
        }
        _ => "Once that is mended, run the same command again: it goes on from there".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_right_is_named() {
        let table = [
            (
                "/accounts/1/storage/kv/namespaces",
                "Account › Workers KV Storage › Edit",
            ),
            ("/accounts/1/queues/2/consumers", "Account › Queues › Edit"),
            (
                "/accounts/1/workers/scripts/a",
                "Account › Workers Scripts › Edit",
            ),
            (
                "/accounts/1/workers/scripts/a/routes",
                "Zone › Workers Routes › Edit",
            ),
            ("/zones/1/workers/routes", "Zone › Workers Routes › Edit"),
            ("/zones", "Zone › Zone › Read"),
            ("/accounts", "Account › Account Settings › Read"),
        ];
        for (path, right) in table {
            let error = Forbidden(path.to_owned()).to_string();
            assert!(
                error.contains(path) && error.contains(&format!("\"{right}\"")),
                "{error}"
            );
            let said = format!(
                "X [ERROR] A request to the Cloudflare API ({path}) failed.\n  Authentication error [code: 10000]\n"
            );
            let advice = wrangler_advice(&said);
            assert!(advice.contains(&format!("\"{right}\"")), "{advice}");
        }
        let other =
            "A request to the Cloudflare API (/accounts/1/workers/scripts/a) failed. Too large [code: 10027]";
        for said in ["fetch failed", other] {
            assert!(wrangler_advice(said).starts_with("Once that is mended"), "{said}");
        }
    }
}
