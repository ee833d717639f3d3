//! The routes of dead letters.

use std::collections::HashSet;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::json;
use ureq::http::StatusCode;

use super::{Filters, Topic};
use crate::Admin;
use crate::admin::Answer;
use crate::intake::{EventResult, Refusal, Results};

const PATH: &str = "/admin/v1/dead-letters";

/// What of a letter is kept of all: not its event.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Summary {
    pub(super) offset: u64,
    pub(super) id: String,
    /// When its event was received, ISO-8601.
    pub(super) dt: String,
    pub(super) fingerprint: String,
    pub(super) reason: String,
    pub(super) stream: Option<String>,
    pub(super) schema_uri: Option<String>,
}

/// A whole letter.
#[derive(Debug, Deserialize)]
pub(super) struct Letter {
    #[serde(flatten)]
    pub(super) summary: Summary,
    #[serde(default)]
    pub(super) sinks: Vec<String>,
    pub(super) log: Option<String>,
    pub(super) key: Option<String>,
    pub(super) raw_event: Option<String>,
    pub(super) raw_message: Option<String>,
    /// The line as it was listed.
    #[serde(skip)]
    pub(super) line: String,
}

#[derive(Deserialize)]
struct Mark {
    settled: Vec<String>,
}

/// What became of a letter.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub(super) offset: u64,
    pub(super) id: String,
    pub(super) outcome: Became,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Became {
    Delivered,
    Later,
    Refused,
}

/// A client of the letters of one topic.
pub(super) struct Client<'a> {
    admin: &'a Admin,
    topic: &'a Topic,
}

type Query = Vec<(&'static str, String)>;

/// Is given lines of a list; whether to go on.
type Visit<'v> = dyn FnMut(&str) -> Result<bool> + 'v;

impl<'a> Client<'a> {
    pub(super) fn new(admin: &'a Admin, topic: &'a Topic) -> Self {
        Self { admin, topic }
    }

    /// Whether the letters are error events.
    pub(super) fn are_errors(&self) -> bool {
        self.topic.topic.is_some()
    }

    /// The letters that nothing is settled about, oldest first.
    pub(super) fn open(&self, filters: &Filters) -> Result<Vec<Summary>> {
        let mut settled = HashSet::new();
        if self.are_errors() {
            self.pages(vec![("settled", "only".to_owned())], &mut |line| {
                settled.extend(mark(line)?);
                Ok(true)
            })?;
        }
        let mut open: Vec<Summary> = Vec::new();
        let mut query = self.query(filters);
        let times = [("since", &filters.since), ("until", &filters.until)];
        query.extend(
            times
                .into_iter()
                .filter_map(|(name, time)| Some((name, time.clone()?))),
        );
        self.pages(query, &mut |line| {
            match mark(line) {
                Ok(ids) => settled.extend(ids),
                Err(_) => open.push(parse(line)?),
            }
            Ok(true)
        })?;
        open.retain(|letter| !settled.contains(&letter.id));
        Ok(open)
    }

    /// Gives `open`, as [`Client::open`] found them, whole to `visit`, as long as that wants more: they are read again, so that
    /// no more than a page of them is ever held.
    pub(super) fn letters(
        &self,
        filters: &Filters,
        open: &[Summary],
        visit: &mut dyn FnMut(Letter) -> Result<bool>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (open.first(), open.last()) else {
            return Ok(());
        };
        let wanted: HashSet<u64> = open.iter().map(|letter| letter.offset).collect();
        let mut query = self.query(filters);
        query.push(("from", first.offset.to_string()));
        self.pages(query, &mut |line| {
            if mark(line).is_ok() {
                return Ok(true);
            }
            let letter = whole(line)?;
            let offset = letter.summary.offset;
            let goes_on = !wanted.contains(&offset) || visit(letter)?;
            Ok(goes_on && offset < last.offset)
        })
    }

    /// The letter with an offset or an id, settled or not.
    pub(super) fn letter(&self, named: &str) -> Result<Letter> {
        let mut query = self.topic_query();
        let offset: Option<u64> = named.parse().ok();
        query.extend(offset.map(|offset| ("from", offset.to_string())));
        let mut found = None;
        self.pages(query, &mut |line| {
            if mark(line).is_err() {
                let letter = whole(line)?;
                let is_it = match offset {
                    Some(offset) => letter.summary.offset == offset,
                    None => letter.summary.id == named,
                };
                found = is_it.then_some(letter);
            }
            Ok(found.is_none() && offset.is_none())
        })?;
        found.with_context(|| {
            format!("{named}: no letter with this offset or id: dead-letters list --each lists them")
        })
    }

    /// Delivers the events of letters once more.
    pub(super) fn redeliver(&self, letters: &[Letter]) -> Result<Vec<Outcome>> {
        let lines: String = letters
            .iter()
            .map(|letter| format!("{}\n", letter.line))
            .collect();
        let path = format!("{PATH}/replay");
        let answer = self.admin.post(&path, "application/x-ndjson", &lines)?.ok()?;
        let outcomes: Vec<Outcome> = answer.text.lines().map(parse).collect::<Result<_>>()?;
        if outcomes.len() != letters.len() {
            bail!("{path} answered {} of {} letters", outcomes.len(), letters.len());
        }
        Ok(outcomes)
    }

    /// Posts the event of an error event to intake, as it was received. It is tried first, as what intake refuses is an error
    /// event again.
    pub(super) fn produce(&self, letter: &Letter, dry_run: bool) -> Result<Outcome> {
        let (outcome, reason) = match &letter.raw_event {
            None => (Became::Refused, Some("it has no raw_event".to_owned())),
            Some(event) => match self.post_event("/v1/events?dry_run=true", event)? {
                (Became::Delivered, _) if !dry_run => self.post_event("/v1/events", event)?,
                tried => tried,
            },
        };
        Ok(Outcome {
            offset: letter.summary.offset,
            id: letter.summary.id.clone(),
            outcome,
            reason,
        })
    }

    fn post_event(&self, path: &str, event: &str) -> Result<(Became, Option<String>)> {
        let answer = self.admin.post(path, "application/json", event)?;
        let results: Results = match (answer.status, serde_json::from_str(&answer.text)) {
            (StatusCode::OK, Ok(results)) => results,
            (StatusCode::CREATED, _) => return Ok((Became::Delivered, None)),
            (status, _) => return Ok((unaccepted(status), Some(answer.refusal()))),
        };
        let Ok([result]) = <[EventResult; 1]>::try_from(results.results) else {
            let reason = "raw_event is not one event".to_owned();
            return Ok((Became::Refused, Some(reason)));
        };
        let is_retryable = result.retryable;
        Ok(match result.refusal() {
            None => (Became::Delivered, None),
            Some(Refusal(reason)) if is_retryable => (Became::Later, Some(reason)),
            Some(Refusal(reason)) => (Became::Refused, Some(reason)),
        })
    }

    /// Marks letters, so that nobody is told of them again.
    pub(super) fn settle<'l>(&self, letters: impl Iterator<Item = (u64, &'l str)>, how: &str) -> Result<()> {
        let letters: Vec<_> = letters
            .map(|(offset, id)| json!({"offset": offset, "id": id}))
            .collect();
        if letters.is_empty() {
            return Ok(());
        }
        let mut body = json!({"letters": letters, "how": how});
        if let (Some(body), Some(topic)) = (body.as_object_mut(), &self.topic.topic) {
            body.insert("topic".to_owned(), topic.as_str().into());
        }
        let path = format!("{PATH}/settle");
        self.admin
            .post(&path, "application/json", &body.to_string())?
            .ok()?;
        Ok(())
    }

    fn topic_query(&self) -> Query {
        let Topic { topic, partition } = self.topic;
        let topic = topic.iter().map(|topic| ("topic", topic.clone()));
        let partition = partition.iter().map(|number| ("partition", number.to_string()));
        topic.chain(partition).collect()
    }

    fn query(&self, filters: &Filters) -> Query {
        let mut query = self.topic_query();
        let members = [
            ("stream", &filters.stream),
            ("schema", &filters.schema),
            ("fingerprint", &filters.fingerprint),
        ];
        query.extend(
            members
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.clone()?))),
        );
        query
    }

    /// Gives the lines of a list to `visit`, page by page, until it wants no more or there are none.
    fn pages(&self, mut query: Query, visit: &mut Visit<'_>) -> Result<()> {
        loop {
            let answer = self.admin.get_query(PATH, &query)?.ok()?;
            for line in answer.text.lines() {
                if !visit(line)? {
                    return Ok(());
                }
            }
            let (next, head) = (number(&answer, "next-offset")?, number(&answer, "head-offset")?);
            if next >= head {
                return Ok(());
            }
            query.retain(|(name, _)| *name != "from");
            query.push(("from", next.to_string()));
        }
    }
}

/// Whether it makes sense to try an event again that was answered with `status`.
fn unaccepted(status: StatusCode) -> Became {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Became::Later
    } else {
        Became::Refused
    }
}

/// The ids that a mark settles.
fn mark(line: &str) -> serde_json::Result<Vec<String>> {
    serde_json::from_str::<Mark>(line).map(|mark| mark.settled)
}

fn parse<'l, T: Deserialize<'l>>(line: &'l str) -> Result<T> {
    serde_json::from_str(line).context("not the form of this release: is another release deployed?")
}

fn whole(line: &str) -> Result<Letter> {
    let letter: Letter = parse(line)?;
    Ok(Letter {
        line: line.to_owned(),
        ..letter
    })
}

fn number(answer: &Answer, header: &str) -> Result<u64> {
    let value = answer.headers.get(header).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.parse().ok())
        .with_context(|| format!("{PATH} answers without {header}: is an older release deployed?"))
}
