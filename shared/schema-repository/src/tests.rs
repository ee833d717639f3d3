mod faults;
mod golden;
mod primary;
mod remote;

use crate::{Files, Options, Others, Remote, Repository};

/// Has no server.
struct Nowhere;

impl Remote for Nowhere {
    fn read(&self, _: &str) -> Result<Option<String>, String> {
        Err("there is no network".to_owned())
    }
}

/// A repository of these files alone.
fn repository(own: Files, options: Options) -> Repository<'static, Nowhere> {
    Repository::new(own, Others::default(), options, &Nowhere).unwrap()
}
