//! A checkout of somebody, and the command in it.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::pty::{OpenptyResult, openpty};
use tempfile::TempDir;

use crate::FUNCTIONS;
use crate::cloud::{ACCOUNT, Running};

/// A checkout on some machine: what is committed, and small workers in place of built ones.
pub(crate) struct Clone {
    folder: TempDir,
}

/// The end of a run.
pub(crate) struct Done {
    pub(crate) is_good: bool,
    pub(crate) said: String,
}

impl Clone {
    pub(crate) fn new(stage: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in ["wrangler.toml", "spin.toml", "xtask/Cargo.toml"] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::copy(checkout().join(file), root.join(file)).unwrap();
        }
        symlink(checkout().join("node_modules"), root.join("node_modules")).unwrap();
        fs::create_dir(root.join("stages")).unwrap();
        for function in FUNCTIONS {
            let built = root.join("build/cloudflare").join(function);
            fs::create_dir_all(&built).unwrap();
            let classes = [
                "StreamLogObject",
                "RegistryObject",
                "MetricsObject",
                "LeaseObject",
            ];
            let classes: String = classes
                .iter()
                .map(|class| format!("export class {class} {{}}\n"))
                .collect();
            let script = format!(
                "{classes}export default {{ fetch() {{ return new Response(\"{function}\"); }} }};\n"
            );
            fs::write(built.join("index.js"), script).unwrap();
        }
        let clone = Self { folder };
        clone.write(stage);
        clone
    }

    pub(crate) fn write(&self, stage: &str) {
        fs::write(self.path("stages/a.toml"), stage).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, cloudflare: &Running, arguments: &[&str]) -> Done {
        self.run_with(cloudflare, arguments, &[])
    }

    pub(crate) fn run_with(
        &self,
        cloudflare: &Running,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Done {
        let mut command = self.command(cloudflare, arguments);
        command.envs(variables.iter().copied()).stdin(Stdio::null());
        let output = command.output().expect("xtask starts");
        let said = [output.stdout, output.stderr].concat();
        Done {
            is_good: output.status.success(),
            said: String::from_utf8(said).unwrap(),
        }
    }

    pub(crate) fn command(&self, cloudflare: &Running, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CLOUDFLARE_API_BASE_URL", &cloudflare.base_url)
            .env("CLOUDFLARE_API_TOKEN", "test-token")
            .env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT);
        command
    }

    /// Deploys without asking, made secrets to the file `secrets`.
    pub(crate) fn deploy(&self, cloudflare: &Running, more: &[&str]) -> Done {
        let secrets = self.path("secrets");
        let mut arguments = vec![
            "deploy",
            "--stage",
            "a",
            "--prebuilt",
            "--yes",
            "--secrets-to",
            secrets.to_str().unwrap(),
        ];
        arguments.extend(more);
        self.run(cloudflare, &arguments)
    }

    /// Deploys on a terminal, where somebody types an answer.
    pub(crate) fn run_on_terminal(&self, cloudflare: &Running, answer: &str) -> Done {
        let OpenptyResult { master, slave } = openpty(None, None).unwrap();
        let mut terminal = File::from(master);
        let mut child = self
            .command(cloudflare, &["deploy", "--stage", "a", "--prebuilt"])
            .stdin(slave.try_clone().unwrap())
            .stdout(slave)
            .stderr(Stdio::piped())
            .spawn()
            .expect("xtask starts");
        terminal.write_all(answer.as_bytes()).unwrap();
        let mut said = Vec::new();
        // The terminal ends with an error where nobody writes to it any more.
        let _ = terminal.read_to_end(&mut said);
        child.stderr.take().unwrap().read_to_end(&mut said).unwrap();
        Done {
            is_good: child.wait().unwrap().success(),
            said: String::from_utf8(said).unwrap(),
        }
    }

    pub(crate) fn secrets(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.path("secrets")).unwrap();
        let pairs = text.lines().map(|line| line.split_once('=').unwrap());
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl Done {
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert!(self.is_good, "{}", self.said);
        self.said
    }

    #[track_caller]
    pub(crate) fn bad(self) -> String {
        assert!(!self.is_good, "{}", self.said);
        self.said
    }
}

pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
