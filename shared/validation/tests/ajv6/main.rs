//! The validator beside AJV 6 itself, over the same pairs of schema and event: verdict, errors, and the event with its
//! defaults.
//!
//! `cargo xtask test` installs AJV and sets `EVENTSTAR_NODE`; without that variable the pairs are not compared.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test without the harness that clippy knows tests by"
)]

mod generator;
mod known;
mod patterns;
mod suite;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use eventstar_event::Document;
use eventstar_validation::{AjvError, Schema};
use serde_json::{Value, json};

use known::Pair;

/// This test's name, for cargo's filters.
const NAME: &str = "verdicts_are_those_of_ajv_6";

const SEED: u64 = 6_126;
const SCHEMAS: usize = 2_000;
const EVENTS: usize = 10;
const PATTERNS: usize = 1_000;

/// A schema and events to judge by it, as JSON texts.
pub(crate) struct Case {
    pub(crate) schema: Value,
    pub(crate) events: Vec<String>,
}

/// The judgement of one event.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) errors: Vec<AjvError>,
    pub(crate) event: Value,
}

fn main() {
    let mut filters = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .peekable();
    if filters.peek().is_some() && !filters.any(|filter| NAME.contains(&filter)) {
        return;
    }
    let Ok(node) = std::env::var("EVENTSTAR_NODE") else {
        println!("\n{NAME} is SKIPPED: `cargo xtask test --host native` installs AJV 6 and runs it\n");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut cases = suite::cases(&root.join("node_modules/json-schema-test-suite/tests/draft4"));
    let of_suite: usize = cases.iter().map(|case| case.events.len()).sum();
    let mut random = generator::Random::new(SEED);
    cases.extend(known::examples());
    cases.extend((0..SCHEMAS).map(|_| {
        let schema = generator::schema(&mut random);
        let events = (0..EVENTS)
            .map(|_| generator::event(&mut random, &schema))
            .collect();
        Case { schema, events }
    }));
    cases.extend((0..PATTERNS).map(|_| patterns::case(&mut random)));
    let theirs = ajv(&node, &cases);
    assert_eq!(theirs.len(), cases.len(), "AJV answers each schema");
    let mut differences = known::Differences::default();
    let mut both_refuse = 0;
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = Schema::compile(&case.schema.to_string());
        match (ours, theirs["judged"].as_array()) {
            (Err(_), None) => both_refuse += 1,
            (Err(error), Some(_)) => {
                let ours = format!("refused, {error}");
                differences.note(&Pair::of_schema(case, ours, "accepted".to_owned()));
            }
            (Ok(_), None) => {
                let theirs = format!("refused, {}", theirs["broken"]);
                differences.note(&Pair::of_schema(case, "accepted".to_owned(), theirs));
            }
            (Ok(schema), Some(judged)) => {
                for (event, theirs) in case.events.iter().zip(judged) {
                    differences.compare(case, event, &judge(&schema, event), theirs);
                }
            }
        }
    }
    let pairs: usize = cases.iter().map(|case| case.events.len()).sum();
    println!(
        "{pairs} pairs, {of_suite} of them of JSON-Schema-Test-Suite; {both_refuse} schemas that neither takes"
    );
    differences.report();
}

fn judge(schema: &Schema, text: &str) -> Judged {
    let event = match Document::parse(text) {
        Ok(mut document) => {
            schema.fill_defaults(&mut document).unwrap();
            document.root().to_value()
        }
        // Only objects are events; but the suite has other values.
        Err(_) => serde_json::from_str(text).unwrap(),
    };
    let errors = schema.validate(&event).err().unwrap_or_default();
    Judged { errors, event }
}

fn ajv(node: &str, cases: &[Case]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ajv6/ajv.mjs");
    let mut child = Command::new(node)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program EVENTSTAR_NODE names");
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let answers = thread::scope(|scope| {
        scope.spawn(move || {
            for case in cases {
                let line = json!({"schema": case.schema, "events": case.events});
                writeln!(input, "{line}").expect("the script reads on");
            }
        });
        output
            .lines()
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect()
    });
    assert!(child.wait().unwrap().success(), "the script ends well");
    answers
}

/// True if two values are the same, as JSON: `1e3` and `1000` are, and the order of members does not matter.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}
