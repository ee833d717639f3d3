//! The dry run of a deployment, with the pinned wrangler and the built workers. Nothing leaves this machine.

use std::env;
use std::fs;
use std::process::Command;

const FUNCTIONS: [&str; 5] = ["delivery", "schema", "stream-config", "intake", "sse-relay"];

#[test]
fn a_dry_run_checks_every_worker_in_dependency_order() {
    let stage = "example";
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["deploy", "--stage", stage, "--dry-run"])
        .output()
        .expect("xtask starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );

    let lines: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("==> checking"))
        .collect();
    let expected: Vec<String> = FUNCTIONS
        .iter()
        .map(|function| format!("==> checking eventstar-{function}-{stage}"))
        .collect();
    assert_eq!(lines, expected);

    let xtask = env::current_dir().expect("cargo runs tests in their package");
    let root = xtask.parent().expect("a workspace");
    let folder = root.join(".eventstar/deploy");
    let written = folder.join(format!("wrangler.{stage}.toml"));
    let config: toml::Table = fs::read_to_string(&written)
        .expect("a configuration")
        .parse()
        .expect("TOML");
    for function in FUNCTIONS {
        let environment = &config["env"][function];
        assert_eq!(
            environment["name"].as_str(),
            Some(format!("eventstar-{function}-{stage}").as_str())
        );
        assert_eq!(
            environment["kv_namespaces"][0]["id"].as_str().map(str::len),
            Some(32),
            "{function}"
        );
        assert!(
            folder.join("dry-run").join(function).join("index.js").is_file(),
            "{function} is bundled"
        );
    }
    fs::remove_file(written).expect("the configuration can be removed");
}
