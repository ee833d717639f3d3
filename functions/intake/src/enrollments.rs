//! Test Kitchen's experiments: the edge tells in `X-Experiment-Enrollments` who takes part, the event says `awaiting`.
//!
//! For streams with `producers.eventgate.use_edge_uniques`. The header is `name=group/subject;name=group/subject`. An
//! event whose experiment and group the header does not have, or a header that cannot be read, is an error
//! (`HoistingError`, `MalformedHeaderError` of eventgate-wikimedia, T391959).

use eventstar_event::Document;
use eventstar_event::json::quote;
use eventstar_validation::Schema;

use crate::answer::Failure;
use crate::said::Said;

/// What an event says until the edge has filled in the subject.
const AWAITING: &str = "awaiting";

/// Longest name of an experiment or a group.
const MAX_NAME: usize = 63;

/// Puts the subject's id into an event that awaits it.
pub(crate) fn hoist(schema: &Schema, said: &Said<'_>, event: &mut Document<'_>) -> Result<(), Failure> {
    let member = |name| event.get_str(&["experiment", name]);
    if member("subject_id").as_deref() != Some(AWAITING) || !schema.takes(&["experiment", "subject_id"]) {
        return Ok(());
    }
    let header = said.enrollments().unwrap_or_default();
    let enrollments = parse(&header).ok_or_else(|| {
        let message =
            "the header X-Experiment-Enrollments cannot be read: send name=group/subject, separated by ;";
        Failure::client("malformed_enrollments", message)
    })?;
    let (enrolled, assigned) = (
        member("enrolled").unwrap_or_default(),
        member("assigned").unwrap_or_default(),
    );
    let found = enrollments
        .iter()
        .find(|enrollment| enrollment.experiment == enrolled && enrollment.group == assigned);
    let Some(enrollment) = found else {
        let message = format!(
            "the header X-Experiment-Enrollments has no experiment '{enrolled}' with group '{assigned}': experiment.subject_id stays unknown"
        );
        return Err(Failure::client("not_enrolled", message));
    };
    let subject = quote(enrollment.subject);
    event.set(&["experiment", "subject_id"], &subject);
    Ok(())
}

struct Enrollment<'h> {
    experiment: &'h str,
    group: &'h str,
    subject: &'h str,
}

fn parse(header: &str) -> Option<Vec<Enrollment<'_>>> {
    let parts = header.split(';').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (experiment, rest) = part.split_once('=')?;
            let (group, subject) = rest.split_once('/')?;
            let whole =
                is_name(experiment) && is_name(group) && !subject.is_empty() && !subject.contains(['/', '=']);
            whole.then_some(Enrollment {
                experiment,
                group,
                subject,
            })
        })
        .collect()
}

fn is_name(text: &str) -> bool {
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(named)
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_whole_or_not_at_all() {
        for (header, expected) in [
            ("", Some(0)),
            ("teapot-lids=control/s1", Some(1)),
            ("teapot-lids=control/s1;other-test=b/s2;", Some(2)),
            ("teapot-lids=control/s1; other-test=b/s2", Some(2)),
            ("teapot-lids", None),
            ("teapot-lids=control", None),
            ("teapot-lids=control/", None),
            ("=control/s1", None),
            ("teapot-lids=/s1", None),
            ("-lids=control/s1", None),
            ("a b=control/s1", None),
            ("teapot-lids=control/s1;broken", None),
            ("teapot-lids=control/s1/s2", None),
        ] {
            assert_eq!(parse(header).map(|all| all.len()), expected, "{header}");
        }
        let long = "x".repeat(64);
        assert!(parse(&format!("{long}=a/b")).is_none());
    }
}
