//! `/metrics`.

use std::fmt::Write as _;

use eventstar_http_api::{Request, Response, admin_only, text, unavailable};
use eventstar_ports::{Metrics as _, Platform, Sample};
use http::StatusCode;

use crate::families::{FAMILIES, Kind};
use crate::seconds;

/// Answers a scrape; it needs the admin token.
pub async fn page<P: Platform>(platform: &P, request: &Request) -> Response {
    if let Err(refusal) = admin_only(platform, request) {
        return refusal;
    }
    match platform.metrics().read().await {
        Ok(samples) => text(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            render(&samples),
        ),
        Err(port_error) => unavailable(
            platform,
            request,
            &port_error.to_string(),
            "metrics cannot be read now: try again",
        ),
    }
}

/// The text of all samples, in the order of the families.
#[must_use]
pub fn render(samples: &[Sample]) -> String {
    let mut out = String::new();
    for family in FAMILIES {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "# HELP {} {}\n# TYPE {} {kind}",
            family.name, family.help, family.name
        );
        let mut of_family: Vec<&Sample> = samples
            .iter()
            .filter(|sample| sample.name == family.name)
            .collect();
        of_family.sort_by_key(|sample| order(&sample.labels));
        for sample in of_family {
            let _ = match family.kind {
                Kind::Counter | Kind::Gauge => {
                    writeln!(out, "{}{} {}", family.name, braced(&sample.labels), sample.value)
                }
                Kind::Histogram => histogram(&mut out, family.name, sample),
            };
        }
    }
    out
}

fn braced(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    }
}

fn histogram(out: &mut String, name: &str, sample: &Sample) -> std::fmt::Result {
    let (outer, last) = sample.labels.rsplit_once(',').unwrap_or(("", &sample.labels));
    if last == "sum" {
        return writeln!(out, "{name}_sum{} {}", braced(outer), seconds(sample.value));
    }
    writeln!(out, "{name}_bucket{} {}", braced(&sample.labels), sample.value)?;
    if last == "le=\"+Inf\"" {
        writeln!(out, "{name}_count{} {}", braced(outer), sample.value)?;
    }
    Ok(())
}

/// Buckets by their bound, then the sum.
fn order(labels: &str) -> (String, u64) {
    let (outer, last) = labels.rsplit_once(',').unwrap_or(("", labels));
    let bound = last
        .strip_prefix("le=\"")
        .and_then(|bound| bound.strip_suffix('"'));
    match bound {
        Some("+Inf") => (outer.to_owned(), u64::MAX - 1),
        Some(bound) => {
            let millis = crate::BOUNDS_MS
                .into_iter()
                .find(|millis| seconds(*millis) == bound);
            (outer.to_owned(), millis.unwrap_or(u64::MAX - 2))
        }
        None if last == "sum" => (outer.to_owned(), u64::MAX),
        None => (labels.to_owned(), 0),
    }
}
