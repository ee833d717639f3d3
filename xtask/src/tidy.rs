//! `cargo xtask tidy`: who may depend on whom, how long files may be, and what must not be left behind.

mod layers;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::project::Project;

/// A file longer than this has more than one subject.
const MAX_LINES: usize = 600;

/// A shim only translates: what can be wrong is in the handler.
const MAX_SHIM_LINES: usize = 60;

/// What has nothing of ours in it. `.git` is a file where several working trees share a repository.
const SKIPPED: [&str; 6] = [".git", ".eventstar", ".spin", "build", "node_modules", "target"];

pub(crate) fn run(project: &Project) -> Result<()> {
    let mut problems = layers::check(&project.metadata(&["--no-deps"])?)?;
    let mut files = Vec::new();
    collect(&project.root, &mut files)?;
    for path in &files {
        // What is not text has neither lines nor leftovers.
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        let name = path.strip_prefix(&project.root).unwrap_or(path);
        problems.extend(check_file(name, &text));
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    println!("tidy: {} files passed", files.len());
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be listed", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn check_file(name: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let shown = name.display();
    let is_code = name
        .extension()
        .is_some_and(|kind| ["rs", "mjs", "js", "ts"].iter().any(|code| kind == *code));
    if is_code {
        let lines = text.lines().count();
        let (limit, advice) = match is_shim(name) {
            true => (
                MAX_SHIM_LINES,
                "move what is not translation into the handler or the platform crate",
            ),
            false => (MAX_LINES, "split it"),
        };
        if lines > limit {
            problems.push(format!(
                "{shown}: {lines} lines, at most {limit} are allowed: {advice}"
            ));
        }
    }
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(found) = leftovers(is_code)
            .into_iter()
            .find(|leftover| line.contains(leftover))
        {
            problems.push(format!("{shown}:{number}: `{found}` must not be left behind"));
        }
        if let Some(found) = machine_path(line) {
            problems.push(format!("{shown}:{number}: `{found}` is a path of one machine"));
        }
    }
    problems
}

/// `functions/<role>/<platform>/src/…`
fn is_shim(name: &Path) -> bool {
    let mut parts = name.components().map(|part| part.as_os_str());
    parts.next().is_some_and(|part| part == "functions")
        && parts
            .nth(1)
            .is_some_and(|part| part == "cloudflare" || part == "spin")
}

/// Put together here so that this file is not a finding.
fn leftovers(is_code: bool) -> Vec<String> {
    let words: &[[&str; 2]] = if is_code {
        &[
            ["to", "do!("],
            ["TO", "DO"],
            ["FIX", "ME"],
            ["unimple", "mented!("],
            ["db", "g!("],
            ["#[ig", "nore"],
        ]
    } else {
        &[["TO", "DO"], ["FIX", "ME"]]
    };
    words.iter().map(|word| word.concat()).collect()
}

/// A path below somebody's home, or where this project happens to be checked out.
fn machine_path(line: &str) -> Option<&str> {
    let roots = [["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"], ["/wo", "rk/"]].map(|root| root.concat());
    roots.iter().find_map(|root| {
        line.match_indices(root.as_str()).find_map(|(at, _)| {
            // Part of a longer path, such as a URL, is not the root of a file system.
            let before = line.get(..at)?.chars().next_back();
            let is_start =
                !before.is_some_and(|letter| letter.is_alphanumeric() || "./-_~}".contains(letter));
            let rest = line.get(at..)?;
            let end = rest.find(|letter: char| letter.is_whitespace() || "\"'`)<>".contains(letter));
            is_start.then(|| rest.get(..end.unwrap_or(rest.len()))).flatten()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str) -> Vec<String> {
        check_file(Path::new(name), text)
    }

    #[test]
    fn files_have_a_limit_and_shims_a_lower_one() {
        assert!(check("shared/event/src/lib.rs", &"\n".repeat(MAX_LINES)).is_empty());
        assert_eq!(
            check("shared/event/src/lib.rs", &"\n".repeat(MAX_LINES + 1)).len(),
            1
        );
        assert!(check("functions/intake/spin/src/lib.rs", &"\n".repeat(MAX_SHIM_LINES)).is_empty());
        assert_eq!(
            check(
                "functions/intake/cloudflare/src/lib.rs",
                &"\n".repeat(MAX_SHIM_LINES + 1)
            )
            .len(),
            1
        );
        assert!(check("functions/intake/src/lib.rs", &"\n".repeat(MAX_SHIM_LINES + 1)).is_empty());
        assert!(check("docs/long.md", &"\n".repeat(10 * MAX_LINES)).is_empty());
    }

    #[test]
    fn what_is_not_ours_is_left_out_be_it_a_folder_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("build/x")).unwrap();
        for name in [".git", "build/x/b.rs", "a.rs"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let mut files = Vec::new();
        collect(dir.path(), &mut files).unwrap();
        assert_eq!(files, [dir.path().join("a.rs")]);
    }

    #[test]
    fn leftovers_are_found_with_their_line() {
        let text = format!("fn a() {{}}\n// {}: later\n", ["TO", "DO"].concat());
        assert!(check("a.rs", &text)[0].starts_with("a.rs:2:"));
    }

    #[test]
    fn paths_of_one_machine_are_found_and_urls_are_not() {
        let home = ["/ho", "me/somebody/x"].concat();
        assert_eq!(
            machine_path(&format!("see \"{home}\" there")),
            Some(home.as_str())
        );
        assert_eq!(machine_path(&format!("https://example.org{home}")), None);
        assert_eq!(machine_path("/v1/events"), None);
    }
}
