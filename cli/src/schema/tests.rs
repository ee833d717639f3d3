use super::*;

use std::fs;

const CURRENT: &str =
    "title: page/view\n$id: /page/view/1.0.0\ntype: object\nproperties:\n  n: {type: integer}\n";

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        let fixture = Self(tempfile::tempdir().unwrap());
        fixture.write(
            ".jsonschema-tools.yaml",
            "schemaBasePath: ./jsonschema/\ncontentTypes: [yaml]\n",
        );
        fixture.write("jsonschema/page/view/current.yaml", CURRENT);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn all(&self, dry_run: bool, force: bool) -> Result<(ExitCode, String)> {
        let dir = self.0.path().to_owned();
        run(RepositoryCommand::MaterializeAll {
            how: How {
                dry_run,
                force,
                remote: offline(),
            },
            dir,
        })
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = std::process::Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.org"])
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn offline() -> RemoteOptions {
    RemoteOptions {
        offline: true,
        cache: Some("none".into()),
    }
}

fn run(command: RepositoryCommand) -> Result<(ExitCode, String)> {
    let mut out = Vec::new();
    let code = command.run(&mut out, &mut Vec::new())?;
    Ok((code, String::from_utf8(out).unwrap()))
}

#[test]
fn a_dry_run_writes_nothing_and_exits_with_4_until_all_is_there() {
    let fixture = Fixture::new();
    let (code, said) = fixture.all(true, false).unwrap();
    assert_eq!(code, ExitCode::from(4));
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(!fixture.path("jsonschema/page/view/1.0.0.yaml").exists());

    let (code, said) = fixture.all(false, false).unwrap();
    assert_eq!(code, ExitCode::SUCCESS);
    assert!(said.contains("page/view/latest -> 1.0.0.yaml"), "{said}");
    let text = fs::read_to_string(fixture.path("jsonschema/page/view/latest")).unwrap();
    assert!(text.contains("maximum: 9007199254740991"), "{text}");
    let names = fs::read_dir(fixture.path("jsonschema/page/view"))
        .unwrap()
        .count();
    assert_eq!(names, 5, "nothing else is left in the folder");

    let (code, said) = fixture.all(true, false).unwrap();
    assert_eq!(
        (code, said.as_str()),
        (ExitCode::SUCCESS, "nothing to materialize\n")
    );
}

#[test]
fn one_fault_and_nothing_is_written() {
    let fixture = Fixture::new();
    fixture.write(
        "jsonschema/b/current.yaml",
        "title: b\n$id: /b/1.0.0\nallOf: [{$ref: /gone/1.0.0}]\n",
    );
    let error = fixture.all(false, false).unwrap_err().to_string();
    assert!(
        error.contains("jsonschema/b/current.yaml: /allOf/0/$ref: $ref /gone/1.0.0 leads to nothing"),
        "{error}"
    );
    assert!(!fixture.path("jsonschema/page/view/1.0.0.yaml").exists());
}

#[test]
fn a_version_with_other_content_is_refused_without_force() {
    let fixture = Fixture::new();
    fixture.all(false, false).unwrap();
    fixture.write(
        "jsonschema/page/view/current.yaml",
        &CURRENT.replace("integer", "string"),
    );
    let error = fixture.all(false, false).unwrap_err().to_string();
    assert!(
        error.contains("1.0.0.yaml: version 1.0.0 exists with other content"),
        "{error}"
    );
    fixture.all(false, true).unwrap();
    let (_, said) = fixture.all(true, false).unwrap();
    assert_eq!(said, "nothing to materialize\n");
}

#[test]
fn list_diff_and_dereference_show_what_is_there() {
    let fixture = Fixture::new();
    fixture.all(false, false).unwrap();
    fixture.write(
        "jsonschema/page/view/current.yaml",
        &CURRENT.replace("1.0.0", "1.1.0").replace("integer", "string"),
    );
    let (_, said) = run(RepositoryCommand::List {
        dir: fixture.0.path().to_owned(),
    })
    .unwrap();
    assert_eq!(said, "page/view: 1.0.0 (current: 1.1.0)\n");
    let file = fixture.path("jsonschema/page/view/current.yaml");
    let (_, said) = run(RepositoryCommand::Diff {
        remote: offline(),
        file: file.clone(),
        version: None,
    })
    .unwrap();
    assert!(
        said.contains("-    type: integer\n") && said.contains("+    type: string\n"),
        "{said}"
    );
    assert!(
        run(RepositoryCommand::Diff {
            remote: offline(),
            file: file.clone(),
            version: Some("9.0.0".to_owned())
        })
        .is_err()
    );
    let (_, said) = run(RepositoryCommand::Dereference {
        json: true,
        remote: offline(),
        file,
    })
    .unwrap();
    assert!(said.starts_with("{\n  \"title\": \"page/view\",\n"), "{said}");
}

#[test]
fn what_is_staged_is_materialized_and_staged_by_the_hook() {
    let fixture = Fixture::new();
    fixture.git(&["init", "-q"]);
    let dir = fixture.0.path().to_owned();
    let modified = |how| RepositoryCommand::MaterializeModified {
        how,
        staged: true,
        no_git_add: false,
        dir: dir.clone(),
    };
    let how = || How {
        dry_run: false,
        force: false,
        remote: offline(),
    };
    assert_eq!(run(modified(how())).unwrap().1, "nothing to materialize\n");
    fixture.git(&["add", "."]);
    run(modified(how())).unwrap();
    let staged = fixture.git(&["diff", "--cached", "--name-only"]);
    assert!(
        staged.contains("page/view/1.0.0.yaml") && staged.contains("page/view/latest\n"),
        "{staged}"
    );

    let install = |force| RepositoryCommand::InstallGitHook {
        force,
        dir: dir.clone(),
    };
    run(install(false)).unwrap();
    run(install(false)).unwrap();
    let hook = fs::read_to_string(fixture.path(".git/hooks/pre-commit")).unwrap();
    assert!(
        hook.ends_with("exec eventstar schema materialize-modified --staged '.'\n"),
        "{hook}"
    );
    fixture.write(".git/hooks/pre-commit", "#!/bin/sh\n");
    assert!(
        run(install(false))
            .unwrap_err()
            .to_string()
            .contains("there is another hook")
    );
    run(install(true)).unwrap();
}
