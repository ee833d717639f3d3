//! What the ports of one request, batch or object share.

use std::rc::Rc;

use worker::Env;

/// The bindings of one request.
#[derive(Debug, Clone)]
pub(crate) struct Scope(Rc<Env>);

impl Scope {
    pub(crate) fn new(env: Env) -> Self {
        Self(Rc::new(env))
    }

    pub(crate) fn env(&self) -> &Env {
        &self.0
    }
}
