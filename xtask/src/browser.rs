//! The browser that pages are tested in.

use std::env;
use std::path::PathBuf;

use crate::process;

/// Names it has on PATH.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Why tests in a browser do not run.
pub(crate) const MISSING: &str = "no Chromium: install one, or name its program in CHROMIUM";

/// What the names of tests that need a browser end with.
pub(crate) const TESTS: &str = "in_a_browser";

/// The program that `CHROMIUM` names, else the one on PATH.
pub(crate) fn find() -> Option<PathBuf> {
    match env::var_os("CHROMIUM").filter(|program| !program.is_empty()) {
        Some(program) => Some(program.into()),
        None => NAMES.into_iter().find_map(process::find),
    }
}
