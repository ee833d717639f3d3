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
        ..RemoteOptions::default()
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
        bases: Bases::default(),
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

/// The outcome of materializing with a configuration, where the user names some places.
fn configured(config: &str, fixture: &Fixture, named: &[&Path]) -> String {
    fixture.write(".jsonschema-tools.yaml", config);
    let mut remote = offline();
    remote.bases.uris = named.iter().map(|path| path.display().to_string()).collect();
    let command = RepositoryCommand::Dereference {
        json: false,
        remote,
        file: fixture.path("jsonschema/page/view/current.yaml"),
    };
    match run(command) {
        Ok((_, said)) => said,
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn a_configuration_reads_nothing_outside_its_work_tree_unless_the_user_names_it() {
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().canonicalize().unwrap();
    fs::write(outside.join("config.json"), r#"{"auths": "secret"}"#).unwrap();
    let shown = outside.display();
    let fixture = Fixture::new();
    fixture.write("jsonschema/page/view/current.yaml", "not: {$ref: /config}\n");
    fs::create_dir(fixture.path("inside")).unwrap();
    std::os::unix::fs::symlink(&outside, fixture.path("link")).unwrap();
    let up = format!("../{}", outside.file_name().unwrap().to_str().unwrap());
    for uri in [
        format!("file://{shown}"),
        outside.display().to_string(),
        up,
        "link".to_owned(),
    ] {
        let config = format!("schemaBasePath: jsonschema\nschemaBaseUris: [inside, '{uri}']\n");
        let said = configured(&config, &fixture, &[]);
        let expected = format!("{shown}: lies outside ");
        assert!(
            said.contains(&expected) && said.contains("(schemaBaseUris)"),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
        let said = configured(&config, &fixture, &[&outside]);
        assert!(said.contains("secret"), "{said}");
        let said = configured(
            &format!("schemaBasePath: '{}'\n", uri.trim_start_matches("file://")),
            &fixture,
            &[],
        );
        assert!(
            said.contains("lies outside ") && said.contains("(schemaBasePath)"),
            "{said}"
        );
    }
    // A place that the user names need not be configured.
    let config = "schemaBasePath: jsonschema\n";
    assert!(configured(config, &fixture, &[]).contains("leads to nothing"));
    assert!(configured(config, &fixture, &[&outside]).contains("secret"));
}

#[test]
fn a_folder_beside_the_repository_is_read_within_one_git_work_tree() {
    let fixture = Fixture::new();
    fixture.write("one/.jsonschema-tools.yaml", "schemaBaseUris: ['../two']\n");
    fixture.write("one/a/current.yaml", "not: {$ref: /config}\n");
    fixture.write("two/config.json", r#"{"title": "shared"}"#);
    let read = || {
        let file = fixture.path("one/a/current.yaml");
        let remote = offline();
        let command = RepositoryCommand::Dereference {
            json: false,
            remote,
            file,
        };
        run(command)
            .map(|(_, said)| said)
            .map_err(|error| format!("{error:#}"))
    };
    let refusal = read().unwrap_err();
    assert!(refusal.contains("lies outside "), "{refusal}");
    fs::create_dir(fixture.path(".git")).unwrap();
    assert!(read().unwrap().contains("shared"));
}

#[test]
fn links_of_a_repository_are_not_followed_out_of_it() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("config.json");
    fs::write(&secret, r#"{"auths": "secret"}"#).unwrap();
    let config = "schemaBasePath: jsonschema\n";
    let fixture = Fixture::new();
    symlink(&secret, fixture.path("jsonschema/config.json")).unwrap();
    symlink(outside.path(), fixture.path("jsonschema/folder")).unwrap();
    for (uri, expected) in [
        ("/config", "which does not exist"),
        ("/folder/config", "leads to nothing"),
    ] {
        fixture.write(
            "jsonschema/page/view/current.yaml",
            &format!("not: {{$ref: {uri}}}\n"),
        );
        let said = configured(config, &fixture, &[]);
        assert!(said.contains(expected) && !said.contains("secret"), "{said}");
    }
    // The configuration itself.
    fs::remove_file(fixture.path(".jsonschema-tools.yaml")).unwrap();
    symlink(&secret, fixture.path(".jsonschema-tools.yaml")).unwrap();
    let refusal = format!("{:#}", fixture.all(true, false).unwrap_err());
    assert!(
        refusal.contains(".jsonschema-tools.yaml: a link that leads out of"),
        "{refusal}"
    );
}

#[test]
fn a_configured_server_is_one_of_https_or_this_machine() {
    let fixture = Fixture::new();
    for (uri, is_taken) in [
        ("https://schema.example.org/jsonschema/", true),
        ("http://127.0.0.1:1/jsonschema", true),
        ("http://169.254.169.254/latest/meta-data", false),
        ("http://schema.example.org", false),
    ] {
        let config = format!("schemaBasePath: jsonschema\nschemaBaseUris: ['{uri}']\n");
        let said = configured(&config, &fixture, &[]);
        assert_eq!(said.contains("title: page/view"), is_taken, "{said}");
        assert_eq!(
            said.contains("plain http is read from this machine only"),
            !is_taken,
            "{said}"
        );
    }
}
