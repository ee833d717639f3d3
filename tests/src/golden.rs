//! Golden files: whole answers, compared byte for byte.
//!
//! A file is written once (`UPDATE_GOLDEN=1`), read by a person, and from then on both hosts must give that answer.

use std::env;
use std::fs;

use crate::http::{Answer, Request};
use crate::instance::repository;

/// Headers that differ from answer to answer or belong to the connection.
const VOLATILE: [&str; 5] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
];

/// Compares an answer with the golden file `name`; `replaced` are texts that differ from run to run, and what
/// stands for them in the file.
#[track_caller]
pub fn check(name: &str, request: &Request, answer: &Answer, replaced: &[(&str, &str)]) {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !VOLATILE.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    headers.sort();
    let mut shown = format!(
        "{}\n\n{}\n{}\n{}\n",
        request.line(),
        answer.status,
        headers.concat(),
        answer.text()
    );
    for (from, to) in replaced {
        shown = shown.replace(from, to);
    }
    let path = repository().join("tests/golden").join(format!("{name}.txt"));
    if env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder for golden files");
        fs::write(&path, &shown).expect("a golden file");
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "no golden file {} ({error}): write it with UPDATE_GOLDEN=1; it would be\n{shown}",
            path.display()
        )
    });
    assert!(
        golden == shown,
        "the answer differs from {}; if it is meant to, write the file with UPDATE_GOLDEN=1\n--- golden\n{golden}\n\
         --- answer\n{shown}",
        path.display()
    );
}
